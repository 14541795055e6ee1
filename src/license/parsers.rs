//! Runs each parser on any content, for the targets in fuzz/. It checks that there is no panic,
//! that a key ID keeps the rule, and that a content which is recognised as a whole says the same.

use super::statement::Said;
use super::xml::{Next, Node};
use super::{Result, name, plain_xml, read, text, xml};

#[cfg(test)]
pub type Parser = fn(&[u8]);

/// All parsers by the names of their targets.
#[cfg(test)]
pub const ALL: [(&str, Parser); 5] = [
    ("wmdrm", wmdrm),
    ("plain_xml", plain_xml),
    ("xmr", xmr),
    ("lcp", lcp),
    ("oma", oma),
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
    if said.is_some() {
        let root = xml::root(document).unwrap_or_default();
        let (name, version) = (root.name.as_str(), root.version.as_str());
        assert_eq!((name, version), (super::wmdrm::ROOT, super::wmdrm::VERSION));
        assert_eq!(said, super::wmdrm::read(document));
    }
    said.is_some()
}

/// Gives all that a walk tells, which passes over some elements and stops at others.
fn told(walk: impl FnOnce(&mut dyn FnMut(&str, Node) -> Next) -> Option<()>) -> Option<String> {
    let mut told = String::new();
    walk(&mut |path, node| {
        told.push_str(match &node {
            Node::Element(_) => "\nelement ",
            Node::Text(_) => "\ntext of ",
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
