//! Runs each parser on any content, for the targets in fuzz/. It checks that there is no panic,
//! that a key ID keeps the rule, and that a content which is recognised as a whole says the same.

use super::statement::Said;
use super::{Result, name, plain_xml, read, text};
use crate::xml;
use crate::xml::{Next, Node};

#[cfg(test)]
pub type Parser = fn(&[u8]);

/// All parsers by the names of their targets.
#[cfg(test)]
pub const ALL: [(&str, Parser); 8] = [
    ("wmdrm", wmdrm),
    ("wmdrm1", wmdrm1),
    ("plain_xml", plain_xml),
    ("xmr", xmr),
    ("lcp", lcp),
    ("oma", oma),
    ("oma_binary", oma_binary),
    ("keygen", keygen),
];

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
    let mut key_ids = std::iter::once(&statement.key_id).chain(&statement.other_key_ids);
    assert!(key_ids.all(|key_id| name::is_key_id(key_id)));
    if let Some(said) = said
        && said.format == statement.format
    {
        assert_eq!(said.right, statement.right);
    }
}

/// Runs [`super::windows_media`], and all that may be in it.
pub fn wmdrm(content: &[u8]) {
    document(content, super::windows_media::read);
}

/// Runs [`super::wmdrm1`], binary and as base64.
pub fn wmdrm1(content: &[u8]) {
    check(content, Ok(super::wmdrm1::read(content)));
    document(content, |document| {
        super::read_base64(document, super::wmdrm1::read)
    });
}

/// Runs [`super::plain_xml`], which tells what [`super::xml`] tells, or nothing.
pub fn plain_xml(content: &[u8]) {
    if let Ok(Some(text)) = text::decode(content) {
        is_plain(text::document(&text));
    }
}

/// Tells whether a document is a plain licence, and checks that both ways find the same in it.
pub(super) fn is_plain(document: &str) -> bool {
    let plain = told(|visit| plain_xml::walk(document, visit));
    if plain.is_some() {
        assert_eq!(plain, told(|visit| xml::walk(document, &[], visit)));
    }
    let said = super::wmdrm::read_plain(document);
    let is_plain = said.is_some();
    if is_plain {
        let root = xml::root(document);
        assert_eq!(root.as_deref(), Some(super::windows_media::LICENSE));
        assert_eq!(said, super::windows_media::read(document).unwrap_or(None));
    }
    is_plain
}

/// Gives all that a walk tells, which passes over some elements and stops at others.
fn told(walk: impl FnOnce(&mut dyn FnMut(&str, Node) -> Next) -> Option<()>) -> Option<String> {
    let mut told = String::new();
    walk(&mut |path, node| {
        told.push_str(match &node {
            Node::Element(_) => "\nelement ",
            Node::Text(_) => "\ntext of ",
            Node::Entity => "\nentity in ",
        });
        told.push_str(path);
        if let Node::Text(text) = &node {
            told.push_str(": ");
            told.push_str(text);
        }
        if let Some(value) = node.attribute("type") {
            told.push_str(" of type ");
            told.push_str(&value);
        }
        match path.len() % 9 {
            3 => Next::Past,
            5 => Next::Stop,
            _ => Next::Into,
        }
    })?;
    Some(told)
}

/// Runs [`super::xmr`], binary and as base64.
pub fn xmr(content: &[u8]) {
    check(content, Ok(super::xmr::read(content)));
    document(content, |document| {
        super::read_base64(document, super::xmr::read)
    });
}

/// Runs [`super::lcp`].
pub fn lcp(content: &[u8]) {
    document(content, |document| Ok(super::lcp::read(document)));
}

/// Runs [`super::oma`], alone and in a message that brings it.
pub fn oma(content: &[u8]) {
    document(content, |document| Ok(super::oma::read(document)));
    check(content, Ok(super::oma::read_message(content)));
}

/// Runs [`super::oma`] on the binary form.
pub fn oma_binary(content: &[u8]) {
    check(content, Ok(super::oma::read_binary(content)));
}

/// Runs [`super::keygen`].
pub fn keygen(content: &[u8]) {
    document(content, super::keygen::read);
}
