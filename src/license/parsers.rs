//! Runs each parser on any content, for the targets in fuzz/. It checks that there is no panic,
//! that a key ID keeps the rule, and that a content which is recognised as a whole says the same.

use super::statement::Said;
use super::{Result, name, read, text};

#[cfg(test)]
pub type Parser = fn(&[u8]);

/// All parsers by the names of their targets.
#[cfg(test)]
pub const ALL: [(&str, Parser); 4] = [("wmdrm", wmdrm), ("xmr", xmr), ("lcp", lcp), ("oma", oma)];

/// Gives each target the files of its corpus.
#[cfg(test)]
pub fn check_corpora(targets: &[(&str, Parser)]) {
    let corpora = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, parse) in targets {
        let files: Vec<_> = std::fs::read_dir(corpora.join(target)).unwrap().collect();
        assert!(files.len() >= 5, "{target}");
        for file in files {
            parse(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}

fn document(content: &[u8], parse: impl Fn(&str) -> Result<Option<Said>>) {
    if let Ok(Some(text)) = text::decode(content) {
        check(content, parse(text::document(&text)));
    }
}

fn check(content: &[u8], said: Result<Option<Said>>) {
    let (Ok(said), Ok(statement)) = (said, read("name", content)) else {
        return;
    };
    assert!(name::is_key_id(&statement.key_id));
    if let Some(said) = said
        && said.format == statement.format
    {
        assert_eq!(said.right, statement.right);
    }
}

/// Runs [`super::wmdrm`].
pub fn wmdrm(content: &[u8]) {
    document(content, |document| Ok(super::wmdrm::read(document)));
}

/// Runs [`super::xmr`], binary and wrapped.
pub fn xmr(content: &[u8]) {
    check(content, Ok(super::xmr::read(content)));
    document(content, super::xmr::read_wrapped);
}

/// Runs [`super::lcp`].
pub fn lcp(content: &[u8]) {
    document(content, |document| Ok(super::lcp::read(document)));
}

/// Runs [`super::oma`].
pub fn oma(content: &[u8]) {
    document(content, |document| Ok(super::oma::read(document)));
}
