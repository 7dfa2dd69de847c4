//! The agent's memory, in two parts: what it knows before it forks a runner, and what the runner knows.
//!
//! A runner begins as a copy of the broker, and with it of all that the broker ever read: the policy, parameters that the
//! plugin is not given. So it leaves that memory behind as a whole, freed pieces included. musl's own allocator is slower,
//! and maps memory in small pieces: page faults are what an action costs.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr;

use dlmalloc::{Allocator, Dlmalloc};

/// Ranges of memory that were mapped for the first part. Neighbours are one.
const RANGES: usize = 512;

/// The allocator, for a process of one thread.
pub struct Memory;

static PARTS: Alone<Parts> = Alone(UnsafeCell::new(Parts {
    before: Dlmalloc::new_with_allocator(Pages { is_noted: true }),
    after: Dlmalloc::new_with_allocator(Pages { is_noted: false }),
    is_left: false,
}));

static MAPPED: Alone<Ranges> = Alone(UnsafeCell::new(Ranges { all: [(0, 0); RANGES], count: 0 }));

/// What one thread alone uses.
struct Alone<T>(UnsafeCell<T>);

// SAFETY: this program has one thread, always.
unsafe impl<T> Sync for Alone<T> {}

struct Parts {
    before: Dlmalloc<Pages>,
    after: Dlmalloc<Pages>,
    is_left: bool,
}

/// Start and end of each range that the first part has.
struct Ranges {
    all: [(usize, usize); RANGES],
    count: usize,
}

/// Where a part gets pages from.
struct Pages {
    is_noted: bool,
}

/// Leaves behind all that was allocated so far, and overwrites it. To free it does nothing from then on. Returns a copy of
/// `kept`, which outlives it. Where another allocator is used it only copies.
///
/// # Safety
/// What lies in that memory must not be used any more, whoever holds it.
///
/// # Errors
/// If memory is short; nothing is left behind then.
pub unsafe fn leave(kept: &[u8]) -> std::io::Result<&'static [u8]> {
    let copy = map(kept.len().max(1));
    if copy.is_null() {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the copy is as long as what is kept, new, and never unmapped. The ranges were mapped by `Pages::alloc` and
    // are still; one thread reads and writes all of these.
    unsafe {
        ptr::copy_nonoverlapping(kept.as_ptr(), copy, kept.len());
        let Ranges { all, count } = &*MAPPED.0.get();
        for (start, end) in &all[..*count] {
            // Private pages of this process alone: they are given up, and are zeros from now on; those that the kernel
            // keeps in memory are overwritten.
            if libc::madvise(*start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) != 0 {
                ptr::write_bytes(*start as *mut u8, 0, end - start);
            }
        }
        (*PARTS.0.get()).is_left = true;
        Ok(std::slice::from_raw_parts(copy, kept.len()))
    }
}

// SAFETY: each pointer comes from the part that is asked to free it: the first part is not asked any more once it is
// left, and frees nothing then. One thread calls all of this.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, and one thread.
        unsafe { (*PARTS.0.get()).current().malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see `alloc`.
        unsafe { (*PARTS.0.get()).current().calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: see `alloc`.
        unsafe {
            let parts = &mut *PARTS.0.get();
            if !(parts.is_left && is_noted(pointer)) {
                parts.current().free(pointer, layout.size(), layout.align());
            }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: see `alloc`; what was left behind is copied as the zeros that it is.
        unsafe {
            let parts = &mut *PARTS.0.get();
            if !(parts.is_left && is_noted(pointer)) {
                return parts.current().realloc(pointer, layout.size(), layout.align(), size);
            }
            let new = parts.current().malloc(size, layout.align());
            if !new.is_null() {
                ptr::copy_nonoverlapping(pointer, new, layout.size().min(size));
            }
            new
        }
    }
}

impl Parts {
    fn current(&mut self) -> &mut Dlmalloc<Pages> {
        if self.is_left { &mut self.after } else { &mut self.before }
    }
}

fn is_noted(pointer: *mut u8) -> bool {
    // SAFETY: one thread.
    let Ranges { all, count } = unsafe { &*MAPPED.0.get() };
    all[..*count].iter().any(|(start, end)| (*start..*end).contains(&pointer.addr()))
}

impl Ranges {
    /// Notes a range. False if there is no room for it.
    fn add(&mut self, start: usize, end: usize) -> bool {
        let neighbour = self.all[..self.count].iter_mut().find(|range| range.0 == end || range.1 == start);
        if let Some(range) = neighbour {
            *range = (range.0.min(start), range.1.max(end));
            return true;
        }
        let Some(free) = self.all.get_mut(self.count) else { return false };
        *free = (start, end);
        self.count += 1;
        true
    }

    /// Takes a range away, also out of the middle of one. False if there is no room for what is left then.
    fn remove(&mut self, start: usize, end: usize) -> bool {
        let Some(at) = self.all[..self.count].iter().position(|range| range.0 <= start && end <= range.1) else {
            return false;
        };
        let whole = self.all[at];
        if whole.0 < start && end < whole.1 && self.count == RANGES {
            return false;
        }
        self.count -= 1;
        self.all[at] = self.all[self.count];
        for (start, end) in [(whole.0, start), (end, whole.1)] {
            if start < end {
                self.all[self.count] = (start, end);
                self.count += 1;
            }
        }
        true
    }
}

fn map(size: usize) -> *mut u8 {
    let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice aliases nothing.
    let start = unsafe { libc::mmap(ptr::null_mut(), size, rights, flags, -1, 0) };
    if start == libc::MAP_FAILED { ptr::null_mut() } else { start.cast() }
}

// SAFETY: what is mapped is new and as long as it says; what is unmapped was given back by the part that had it.
unsafe impl Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let start = map(size);
        // SAFETY: one thread.
        let noted = || unsafe { (*MAPPED.0.get()).add(start.addr(), start.addr() + size) };
        if start.is_null() || self.is_noted && !noted() {
            return (ptr::null_mut(), 0, 0);
        }
        (start, size, 0)
    }

    fn remap(&self, start: *mut u8, old: usize, new: usize, can_move: bool) -> *mut u8 {
        // What is noted is copied instead, rarely: an action reads little before its plugin runs.
        if self.is_noted {
            return ptr::null_mut();
        }
        let flags = if can_move { libc::MREMAP_MAYMOVE } else { 0 };
        // SAFETY: the allocator owns the range, and uses what is returned in its place.
        let moved = unsafe { libc::mremap(start.cast(), old, new, flags) };
        if moved == libc::MAP_FAILED { ptr::null_mut() } else { moved.cast() }
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, start: *mut u8, size: usize) -> bool {
        // SAFETY: one thread.
        let taken = || unsafe { (*MAPPED.0.get()).remove(start.addr(), start.addr() + size) };
        // SAFETY: the allocator gives back what it has, and uses it no more.
        (!self.is_noted || taken()) && unsafe { libc::munmap(start.cast(), size) } == 0
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        4096
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_and_taken_apart() {
        let mut ranges = Ranges { all: [(0, 0); RANGES], count: 0 };
        assert!(ranges.add(10, 20) && ranges.add(20, 30) && ranges.add(5, 10) && ranges.add(50, 60));
        let held = |ranges: &Ranges| {
            let mut held = ranges.all[..ranges.count].to_vec();
            held.sort_unstable();
            held
        };
        assert_eq!(held(&ranges), [(5, 30), (50, 60)]);
        assert!(ranges.remove(12, 15) && ranges.remove(50, 60) && !ranges.remove(12, 13));
        assert_eq!(held(&ranges), [(5, 12), (15, 30)]);
    }
}
