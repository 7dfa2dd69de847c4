//! What a person can read in one line, by the tables of Unicode.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Fails if a text is more than one line, or has a character that nobody sees.
///
/// # Panics
/// See above.
pub fn assert_one_line(text: &str, bytes: usize) {
    assert!(text.len() <= bytes, "{} bytes and not {bytes}: {text:?}", text.len());
    if let Some(bad) = text.chars().find(|c| is_unseen(*c)) {
        panic!("U+{:04X} in {text:?}", u32::from(bad));
    }
}

/// Control characters, marks without a width, marks that turn text around, ends of lines and paragraphs.
fn is_unseen(c: char) -> bool {
    matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}
