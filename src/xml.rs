//! Walks over an XML document: element by element, with the path from its root.
//!
//! A document type declaration is passed over, and entities that it may declare are never expanded:
//! a walk only tells where one is named. A text that is not well-formed, nests too deep or names an
//! entity that nothing declares is no document. Documents one behind the other are walked over as
//! one.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use quick_xml::{Reader, XmlVersion};

/// The limits of the depth of elements, and of the length of a path of names: several times what a
/// licence or an answer of a store has.
const DEPTH_MAX: usize = 64;
const PATH_MAX: usize = 4096;
/// The limits for the bytes of a name, of the value of an attribute that is read, and of the
/// declaration of a namespace, and for the number of declarations in force. The reader keeps these
/// in memory whose refusal ends the process: 64 KiB of the names of open elements, and of the
/// declarations.
const NAME_MAX: usize = 1000;
const VALUE_MAX: usize = 4096;
const DECLARATION_MAX: usize = 512;
const DECLARATIONS_MAX: usize = 100;

/// A namespace of the elements of a document.
pub struct Namespace {
    /// The namespace; a slash at its end does not matter.
    pub uri: &'static str,
    /// The prefix that documents have for it, some of them without a declaration.
    pub usual: &'static str,
    /// The namespace's prefix in a path; an element of no namespace has none there.
    pub prefix: &'static str,
}

/// The prefix in a path for a namespace that its reader does not know.
const UNKNOWN: &str = "?:";

/// An item of a document, which is told with its path.
pub enum Node<'n> {
    Element(&'n BytesStart<'n>),
    /// A part of an element's text; one text may come in several.
    Text(Cow<'n, str>),
    /// A part of an element's text that is not known: an entity of the document's own.
    Entity,
}

impl Node<'_> {
    /// Gives the value of an element's attribute, by its name as it is written.
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        let Node::Element(element) = self else {
            return None;
        };
        // A check for attributes that stand twice would compare each with each.
        let mut attributes = element.attributes();
        let mut found = attributes.with_checks(false).flatten();
        let attribute = found.find(|attribute| attribute.key.as_ref() == name)?;
        if attribute.value.len() > VALUE_MAX {
            return None;
        }
        attribute.normalized_value(XmlVersion::Implicit1_0).ok()
    }
}

/// Gives the name of the root element, as it is written.
pub fn root(document: &str) -> Option<String> {
    let mut root = None;
    // The walk stops at the first element, and with an error at anything before it that is not
    // well-formed.
    walk(document, &[], |name, _| {
        root.get_or_insert_with(|| name.to_owned());
        Next::Stop
    });
    root
}

/// The place where a walk goes on.
pub enum Next {
    /// The content of the element.
    Into,
    /// The place behind the element; its content must only nest correctly.
    Past,
    Stop,
}

/// Tells `visit` the elements and texts of a document in order, each with the path of its element,
/// like `rights/o:asset`; without `namespaces`, names are as they are written. None means that it
/// is no document, or that the walk was stopped.
pub fn walk(
    document: &str,
    namespaces: &[Namespace],
    mut visit: impl FnMut(&str, Node) -> Next,
) -> Option<()> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    // A walk without namespaces need not read their declarations.
    let mut resolver = (!namespaces.is_empty()).then(NamespaceResolver::default);
    if let Some(resolver) = &mut resolver {
        resolver.set_max_namespace_bindings(DECLARATIONS_MAX);
    }
    let (mut path, mut depth) = (String::new(), 0);
    let (mut is_any, mut has_type) = (false, false);
    // The depth of the element that is passed over.
    let mut passed = None;
    loop {
        if has_long_name(reader.get_ref()) {
            return None;
        }
        let node = match reader.read_event() {
            Ok(Event::Start(element)) => {
                if depth == DEPTH_MAX {
                    return None;
                }
                depth += 1;
                is_any = true;
                if passed.is_some() {
                    continue;
                }
                if depth > 1 {
                    path.push('/');
                }
                let (written, local) = (element.name(), element.local_name());
                let name = match &mut resolver {
                    None => written.as_ref(),
                    Some(resolver) => {
                        if has_long_declaration(&element) {
                            return None;
                        }
                        resolver.push(&element).ok()?;
                        let (namespace, _) = resolver.resolve_element(element.name());
                        path.push_str(prefix(&namespace, namespaces));
                        local.as_ref()
                    }
                };
                // A name can't have a slash, which would make a path of its own.
                if name.as_bytes().contains(&b'/') || path.len() + name.len() > PATH_MAX {
                    return None;
                }
                path.push_str(name);
                match visit(&path, Node::Element(&element)) {
                    Next::Into => {}
                    Next::Past => passed = Some(depth),
                    Next::Stop => return None,
                }
                continue;
            }
            Ok(Event::End(_)) => {
                if passed.is_none_or(|passed| passed == depth) {
                    passed = None;
                    leave(&mut path, &mut resolver);
                }
                depth -= 1;
                continue;
            }
            Ok(Event::Eof) => return (is_any && depth == 0).then_some(()),
            // Texts stay as they are written: it does not matter which characters end a line.
            Ok(Event::Text(text)) => Node::Text(text.into_inner()),
            Ok(Event::CData(text)) => Node::Text(text.into_inner()),
            Ok(Event::GeneralRef(reference)) => match reference.resolve_char_ref().ok()? {
                Some(character) => Node::Text(character.to_string().into()),
                None => match predefined(&reference) {
                    Some(character) => Node::Text(character.into()),
                    None if has_type => Node::Entity,
                    None => return None,
                },
            },
            Ok(Event::DocType(_)) => {
                has_type = true;
                continue;
            }
            Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_)) => continue,
            // The first never comes, since such elements are expanded.
            Ok(Event::Empty(_)) | Err(_) => return None,
        };
        match &node {
            Node::Text(text) if depth == 0 && text.trim().is_empty() => {}
            _ if depth == 0 => return None,
            _ if passed.is_some() => {}
            _ => {
                if let Next::Stop = visit(&path, node) {
                    return None;
                }
            }
        }
    }
}

/// Tells whether a tag comes next whose name is longer than any of a licence. For the reader a name
/// ends at a space or with its tag, whose end quotation marks hide; no real name has one.
fn has_long_name(rest: &[u8]) -> bool {
    // The reader passes over the mark at a document's beginning.
    let rest = rest.strip_prefix("\u{feff}".as_bytes()).unwrap_or(rest);
    let (name, may_have_space) = match rest {
        [b'<', b'!' | b'?', ..] => return false,
        [b'<', b'/', name @ ..] => (name, true),
        [b'<', name @ ..] => (name, false),
        _ => return false,
    };
    let ends = |byte: &&u8| match byte {
        b'>' | b'\'' | b'"' => true,
        b' ' | b'\t' | b'\r' | b'\n' => !may_have_space,
        _ => false,
    };
    match name.iter().take(NAME_MAX + 1).find(ends) {
        Some(end) => matches!(end, b'\'' | b'"'),
        // A shorter rest has no room for a long name.
        None => name.len() > NAME_MAX,
    }
}

fn has_long_declaration(element: &BytesStart) -> bool {
    let mut attributes = element.attributes();
    let mut read = attributes.with_checks(false).flatten();
    read.any(|attribute| {
        let size = attribute.key.as_ref().len() + attribute.value.len();
        size > DECLARATION_MAX && attribute.key.as_namespace_binding().is_some()
    })
}

fn leave(path: &mut String, resolver: &mut Option<NamespaceResolver>) {
    let slash = path.bytes().rposition(|byte| byte == b'/');
    path.truncate(slash.unwrap_or(0));
    if let Some(resolver) = resolver {
        resolver.pop();
    }
}

fn prefix(namespace: &ResolveResult, namespaces: &[Namespace]) -> &'static str {
    match namespace {
        ResolveResult::Unbound => "",
        ResolveResult::Bound(uri) => {
            let uri = uri.as_ref();
            let uri = uri.strip_suffix('/').unwrap_or(uri);
            find(namespaces, |known| known.uri == uri)
        }
        ResolveResult::Unknown(prefix) => find(namespaces, |known| known.usual == prefix),
    }
}

fn find(namespaces: &[Namespace], is_it: impl Fn(&Namespace) -> bool) -> &'static str {
    let mut known = namespaces.iter();
    known
        .find(|known| is_it(known))
        .map_or(UNKNOWN, |known| known.prefix)
}

/// A text that is gathered from its parts, as long as it does not exceed the length looked for.
pub struct Gathered {
    text: String,
    most: usize,
    is_over: bool,
}

impl Gathered {
    pub fn new(most: usize) -> Gathered {
        Gathered {
            text: String::new(),
            most,
            is_over: false,
        }
    }

    pub fn push(&mut self, part: &str) {
        let part = match self.text.is_empty() {
            true => part.trim_start_matches(SPACE),
            false => part,
        };
        self.is_over |= self.text.len() + part.trim_end_matches(SPACE).len() > self.most;
        if !self.is_over {
            self.text.push_str(part.get(..self.most).unwrap_or(part));
        }
    }

    /// Forgets the text, of which a part is not known.
    pub fn spoil(&mut self) {
        self.is_over = true;
    }

    /// Gives the text without the space around it; None if it is too long, or not known.
    pub fn get(&self) -> Option<&str> {
        (!self.is_over).then(|| trimmed(&self.text))
    }
}

/// The characters of white space, XML 1.0, 2.3.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Removes the space around a text, XML 1.0, 2.3.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Gives the character of an entity that every document has, XML 1.0, 4.6.
fn predefined(name: &str) -> Option<&'static str> {
    quick_xml::escape::resolve_xml_entity(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACES: [Namespace; 1] = [Namespace {
        uri: "urn:one",
        usual: "one",
        prefix: "o:",
    }];

    fn told(document: &str) -> Option<String> {
        let mut told = String::new();
        walk(document, &NAMESPACES, |path, node| {
            match &node {
                Node::Element(_) => told.push_str(&format!("<{path}>")),
                Node::Text(text) => told.push_str(text),
                Node::Entity => told.push_str("[entity]"),
            }
            if let Some(value) = node.attribute("id") {
                told.push_str(&format!("[{value}]"));
            }
            match path.ends_with("/past") {
                true => Next::Past,
                false => Next::Into,
            }
        })?;
        Some(told)
    }

    #[test]
    fn elements_come_with_their_paths() {
        let document = "\u{feff}<?xml version='1.0'?><!DOCTYPE a SYSTEM 'x'><!-- c --><a id='&lt;1'>x\
                        <p:b xmlns:p='urn:one'><c xmlns='urn:two'/></p:b><past>y<past/></past><past/>&#x41;&amp;<![CDATA[<]]></a> ";
        let document = document.trim_start_matches('\u{feff}');
        assert_eq!(
            told(document).as_deref(),
            Some("<a>[<1]x<a/o:b><a/o:b/?:c><a/past><a/past>A&<")
        );
    }

    #[test]
    fn what_stands_for_a_namespace_is_known() {
        for document in [
            "<x:a xmlns:x='urn:one'/>",
            "<x:a xmlns:x='urn:one/'/>",
            "<a xmlns='urn:one'/>",
            "<one:a/>",
            "<one:a one='urn:one'/>",
        ] {
            assert_eq!(told(document).as_deref(), Some("<o:a>"), "{document}");
        }
        for document in [
            "<x:a/>",
            "<one:a xmlns:one='urn:two'/>",
            "<a xmlns='urn:one//'/>",
        ] {
            assert_eq!(told(document).as_deref(), Some("<?:a>"), "{document}");
        }
    }

    #[test]
    fn entities_are_told_and_never_expanded() {
        let declared =
            "<!DOCTYPE a [<!ENTITY b '<c/>\"]>x'><!ENTITY % d SYSTEM \"file:///e>\"> %d;]>";
        let document = format!("{declared}<a>x&b;y<past>&b;</past></a>");
        assert_eq!(told(&document).as_deref(), Some("<a>x[entity]y<a/past>"));
        let bomb = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbb'><!ENTITY c '&b;&b;&b;'>]><a>&c;</a>";
        assert_eq!(told(bomb).as_deref(), Some("<a>[entity]"));
        for document in [
            "<a>&b;</a>",
            "<!DOCTYPE a>&b;<a/>",
            "<!DOCTYPE a><a>&#0;</a>",
        ] {
            assert_eq!(told(document), None, "{document}");
        }
        // The value of an attribute that names one is not known.
        let document = "<!DOCTYPE a><a id='x&b;'/>";
        assert_eq!(told(document).as_deref(), Some("<a>"));
    }

    #[test]
    fn documents_one_behind_the_other_are_one() {
        let document =
            "<a><b/></a>\n<?xml version='1.0'?><!DOCTYPE a><p:a xmlns:p='urn:one'>x</p:a>";
        assert_eq!(told(document).as_deref(), Some("<a><a/b><o:a>x"));
    }

    #[test]
    fn what_is_no_document_is_none() {
        let deep = "<a>".repeat(100_000);
        let deep_and_closed = "<a>".repeat(65) + &"</a>".repeat(65);
        let documents = [
            "",
            "x",
            "<!-- -->",
            "<a>",
            "<a></b>",
            "<a/><a>",
            "<a/></a>",
            "<a/>x",
            "<a/>x<a/>",
            "</a>",
            "<a>&b;</a>",
            &deep,
            &deep_and_closed,
            "<a><![CDATA[</a>",
            "<a><past></a>",
            "<a><past>",
            "<!-- <a/>",
            "<a>]",
            "<a &>",
        ];
        for document in documents {
            assert_eq!(told(document), None, "{document:.80}");
        }
        let most = "<a>".repeat(64) + &"</a>".repeat(64);
        assert!(told(&most).is_some());
    }

    #[test]
    fn what_would_take_much_memory_is_no_document() {
        let name = |length| "n".repeat(length);
        let value = |length| "v".repeat(length);
        let declarations = |count| -> String {
            let declarations = (0..count).map(|number| format!(" xmlns:n{number}='u'"));
            declarations.collect()
        };
        let refused = [
            format!("<{}/>", name(NAME_MAX + 1)),
            format!("<a></{}>", name(NAME_MAX + 1)),
            format!("<a></a{}>", " ".repeat(NAME_MAX)),
            format!("<a xmlns='{}'/>", value(DECLARATION_MAX)),
            format!("<a xmlns:{}='u'/>", name(DECLARATION_MAX)),
            format!("<a xmlns:b='u'{}/>", declarations(DECLARATIONS_MAX)),
            format!("<past>{}{}</past>", "<a>".repeat(64), "</a>".repeat(64)),
            // These end a name for others, and not for the reader.
            format!("<a'>{}'/>", name(NAME_MAX)),
            format!("<a></a '>{}'>", name(NAME_MAX)),
            format!("<a\u{c}{}/>", name(NAME_MAX)),
            format!("\u{feff}<{}/>", name(NAME_MAX + 1)),
            format!("<a>x&amp;<{}/></a>", name(NAME_MAX + 1)),
        ];
        for document in refused {
            assert_eq!(told(&document), None, "{document:.80}");
        }
        let taken = [
            format!("<{}/>", name(NAME_MAX - 1)),
            format!("<a xmlns='{}'/>", value(DECLARATION_MAX - 5)),
            format!("<a{}/>", declarations(DECLARATIONS_MAX)),
            // These are no tags.
            format!("<a><![CDATA[<{}]]></a>", value(100_000)),
            format!("<a b='<{}'/>", value(100_000)),
            format!(
                "<!--<{0}--><?p <{0}?><!DOCTYPE a SYSTEM '<{0}'><a/>",
                value(100_000)
            ),
            format!("<!--{0}--><a b='{0}'>{0}</a>", value(100_000)),
            format!("<past>{}{}</past>", "<a>".repeat(63), "</a>".repeat(63)),
        ];
        for document in taken {
            assert!(told(&document).is_some(), "{document:.80}");
        }
        let id = |length| told(&format!("<a id='{}'/>", value(length))).unwrap();
        assert_eq!(id(VALUE_MAX).len(), "<a>[]".len() + VALUE_MAX);
        assert_eq!(id(VALUE_MAX + 1), "<a>");
    }

    #[test]
    fn a_root_is_known_by_its_beginning() {
        let found = root("<!-- --><LICENSE xmlns='urn:one' version=\"2.0.0.0\"><broken");
        assert_eq!(found.as_deref(), Some("LICENSE"));
        assert_eq!(root("<!-- <LICENSE version='2.0.0.0'/> -->"), None);
        assert_eq!(root("<A/B/>"), None);
    }

    #[test]
    fn texts_are_gathered_as_far_as_they_can_be_of_use() {
        let gathered = |parts: &[&str]| {
            let mut gathered = Gathered::new(5);
            parts.iter().for_each(|part| gathered.push(part));
            gathered.get().map(str::to_owned)
        };
        let space = " ".repeat(100);
        assert_eq!(gathered(&["\n a", "b", "cd \t"]).as_deref(), Some("abcd"));
        assert_eq!(
            gathered(&[&space, "abcde", &space]).as_deref(),
            Some("abcde")
        );
        assert_eq!(gathered(&["abc", "def"]), None);
        assert_eq!(gathered(&[]).as_deref(), Some(""));
        let mut spoilt = Gathered::new(5);
        spoilt.spoil();
        assert_eq!(spoilt.get(), None);
    }
}
