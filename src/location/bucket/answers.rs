//! What stores say in XML, and what the library says to them.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::events::Event;

/// The most elements that are inside of each other, and the most that are read.
const DEPTH_MAX: usize = 8;
const ELEMENTS_MAX: usize = 100_000;

/// Reads the elements that have nothing but text, in order, each by its name and that of the
/// element around it; none where it is no XML.
fn elements(xml: &[u8]) -> Option<Vec<(String, String, String)>> {
    let mut reader = Reader::from_str(std::str::from_utf8(xml).ok()?);
    reader.config_mut().expand_empty_elements = true;
    let (mut found, mut open, mut text) = (Vec::new(), Vec::<String>::new(), String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                open.push(element.local_name().as_ref().to_owned());
                text.clear();
            }
            Event::End(_) => {
                let name = open.pop()?;
                let around = open.last().cloned().unwrap_or_default();
                found.push((around, name, text.trim().to_owned()));
                text.clear();
            }
            Event::Text(part) => text.push_str(&part.into_inner()),
            Event::CData(part) => text.push_str(&part.into_inner()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(character) => text.push(character),
                None => text.push_str(quick_xml::escape::resolve_xml_entity(&reference)?),
            },
            Event::Eof => return open.is_empty().then_some(found),
            _ => {}
        }
        if open.len() > DEPTH_MAX || found.len() > ELEMENTS_MAX {
            return None;
        }
    }
}

/// Gives the text of the first element of that name.
pub fn text_of(xml: &[u8], name: &str) -> Option<String> {
    let mut elements = elements(xml)?.into_iter();
    let found = elements.find(|(_, own, _)| own == name);
    found.map(|(_, _, text)| text)
}

/// Tells whether an answer is one of a failure, whatever its status says.
pub fn is_failure(xml: &[u8]) -> bool {
    let root = elements(xml).and_then(|elements| elements.into_iter().last());
    root.is_some_and(|(_, name, _)| name == "Error")
}

/// An upload in parts that has not been completed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Begun {
    pub key: String,
    pub id: String,
    /// The time of its beginning by RFC 3339.
    pub since: String,
}

/// Reads a list of uploads; none where it is no such list.
pub fn uploads(xml: &[u8]) -> Option<Vec<Begun>> {
    let (mut all, mut last) = (Vec::new(), Begun::default());
    for (around, name, text) in elements(xml)? {
        match (around.as_str(), name.as_str()) {
            ("Upload", "Key") => last.key = text,
            ("Upload", "UploadId") => last.id = text,
            ("Upload", "Initiated") => last.since = text,
            (_, "Upload") => all.push(std::mem::take(&mut last)),
            _ => {}
        }
    }
    Some(all)
}

/// Makes the list of parts that completes an upload.
pub fn parts<'t>(tags: impl Iterator<Item = &'t str>) -> String {
    let mut xml =
        String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (number, tag) in (1..).zip(tags) {
        let tag = quick_xml::escape::escape(tag);
        let _ = write!(
            xml,
            "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
        );
    }
    xml.push_str("</CompleteMultipartUpload>");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_says_is_found() {
        let error =
            b"<?xml version=\"1.0\"?>\n<Error>\n <Code>NoSuchKey</Code><Message>a &lt;b&gt; \
                      &#34;c&quot;</Message><Empty/></Error>";
        assert_eq!(text_of(error, "Code").unwrap(), "NoSuchKey");
        assert_eq!(text_of(error, "Message").unwrap(), "a <b> \"c\"");
        assert_eq!(text_of(error, "Empty").unwrap(), "");
        assert_eq!(text_of(error, "Region"), None);
        assert!(is_failure(error));
        let uploads_of =
            b"<ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Bucket>b</Bucket><Upload><Key>a/b</Key><UploadId>1</UploadId><Owner><ID>o</ID></Owner>\
            <Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>\
            <Upload><Key>c</Key><UploadId>2</UploadId></Upload></ListMultipartUploadsResult>";
        let begun = |key: &str, id: &str, since: &str| Begun {
            key: key.into(),
            id: id.into(),
            since: since.into(),
        };
        let both = [
            begun("a/b", "1", "2026-01-02T03:04:05.000Z"),
            begun("c", "2", ""),
        ];
        assert_eq!(uploads(uploads_of).unwrap(), both);
        assert!(!is_failure(uploads_of));
    }

    #[test]
    fn what_is_no_xml_says_nothing() {
        let deep = "<a>".repeat(1000);
        for bad in [
            &b"no XML <"[..],
            b"<a>",
            b"\xff",
            b"<a>&unknown;</a>",
            b"<!DOCTYPE a [<!ENTITY b \"c\">]><Error>&b;</Error>",
            deep.as_bytes(),
        ] {
            assert_eq!(text_of(bad, "a"), None);
            assert!(!is_failure(bad));
        }
    }

    #[test]
    fn tags_are_escaped() {
        let xml = parts(["\"a\"", "<b>"].into_iter());
        assert_eq!(text_of(xml.as_bytes(), "ETag").unwrap(), "\"a\"");
        assert!(xml.contains("<PartNumber>2</PartNumber><ETag>&lt;b&gt;</ETag>"));
    }
}
