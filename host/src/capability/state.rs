//! `state`: a few values in the record of this instance, until a reboot or a verified stop.

use std::collections::BTreeMap;

use crate::seam::{Answer, Error};

/// Keys of one instance.
const KEYS: usize = 64;
/// Bytes of one value.
const VALUE_BYTES: usize = 64 * 1024;
/// Bytes of all values together.
const TOTAL_BYTES: usize = 256 * 1024;

type Notebook = BTreeMap<String, Vec<u8>>;

/// A change that was checked.
#[derive(Debug)]
pub struct Permit(String, Option<Vec<u8>>);

/// Checks that `key` can hold `value` (none: can be removed).
///
/// # Errors
/// `invalid` for a key or a size out of range.
pub fn permit(notebook: &Notebook, key: String, value: Option<Vec<u8>>) -> Answer<Permit> {
    check_key(&key)?;
    if let Some(value) = &value {
        let others: usize = notebook.iter().filter(|(k, _)| **k != key).map(|(_, v)| v.len()).sum();
        let keys = notebook.len() + usize::from(!notebook.contains_key(&key));
        if value.len() > VALUE_BYTES || others + value.len() > TOTAL_BYTES || keys > KEYS {
            return Err(Error::Invalid(format!(
                "state {key}: at most {KEYS} keys, {} KiB a value, {} KiB in all",
                VALUE_BYTES >> 10,
                TOTAL_BYTES >> 10
            )));
        }
    }
    Ok(Permit(key, value))
}

impl Permit {
    /// Changes the notebook. The caller saves it.
    pub fn apply(self, notebook: &mut Notebook) {
        match self.1 {
            Some(value) => drop(notebook.insert(self.0, value)),
            None => drop(notebook.remove(&self.0)),
        }
    }
}

/// Returns a value.
///
/// # Errors
/// `invalid` for something that cannot be a key.
pub fn get(notebook: &Notebook, key: &str) -> Answer<Option<Vec<u8>>> {
    check_key(key)?;
    Ok(notebook.get(key).cloned())
}

fn check_key(key: &str) -> Answer<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    if (1..=64).contains(&key.len()) && key.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::Invalid("a key of state is 1-64 of a-z, 0-9, `-`, `.`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_one_byte_and_one_key_too_many() {
        let mut notebook = Notebook::new();
        for n in 0..KEYS {
            permit(&notebook, format!("k{n}"), Some(vec![0; 4096])).unwrap().apply(&mut notebook);
        }
        assert!(permit(&notebook, "k0".into(), Some(vec![0; 4096])).is_ok());
        assert!(permit(&notebook, "k0".into(), Some(vec![0; 4097])).is_err());
        assert!(permit(&notebook, "another".into(), Some(vec![])).is_err());
        assert!(permit(&Notebook::new(), "k".into(), Some(vec![0; VALUE_BYTES + 1])).is_err());
    }

    #[test]
    fn refuses_what_is_no_key() {
        for key in ["", "A", "a/b", "a b", &"x".repeat(65)] {
            assert!(get(&Notebook::new(), key).is_err(), "{key:?}");
        }
    }
}
