//! What stores say in XML, and what the library says to them.

use std::collections::TryReserveError;

use crate::xml::{self, Gathered, Next, Node};

/// The most bytes of a text in an answer: several times what a store gives.
const TEXT_MAX: usize = 2048;
/// The most uploads that are read of a list, as many as a store has in one.
const UPLOADS_MAX: usize = 1000;

/// Gives the text of the first element of that name; none where there is none, or the answer is no
/// XML.
pub fn text_of(answer: &[u8], name: &str) -> Option<String> {
    let (mut place, mut found) = (String::new(), Gathered::new(TEXT_MAX));
    let mut is_past = false;
    xml::walk(std::str::from_utf8(answer).ok()?, &[], |path, node| {
        match node {
            Node::Element(_) if place.is_empty() && path.rsplit('/').next() == Some(name) => {
                path.clone_into(&mut place);
            }
            Node::Element(_) => is_past |= path == place,
            Node::Text(part) if path == place && !is_past => found.push(&part),
            Node::Entity if path == place && !is_past => found.spoil(),
            _ => {}
        }
        Next::Into
    })?;
    found.get().filter(|_| !place.is_empty()).map(str::to_owned)
}

/// Tells whether an answer is one of a failure, whatever its status says.
pub fn is_failure(answer: &[u8]) -> bool {
    let root = std::str::from_utf8(answer).ok().and_then(xml::root);
    root.as_deref() == Some("Error")
}

/// An upload in parts that has not been completed.
pub struct Begun {
    pub key: Gathered,
    pub id: Gathered,
    /// The time of its beginning by RFC 3339.
    pub since: Gathered,
}

/// Reads a list of uploads, of a longer one than a store gives the first ones; none where it is no
/// XML, or memory lacks.
pub fn uploads(answer: &[u8]) -> Option<Vec<Begun>> {
    let mut all: Vec<Begun> = Vec::new();
    xml::walk(std::str::from_utf8(answer).ok()?, &[], |path, node| {
        let Some((_, place)) = path.split_once("/Upload") else {
            return Next::Into;
        };
        if let ("", Node::Element(_)) = (place, &node) {
            if all.len() == UPLOADS_MAX {
                return Next::Past;
            }
            if all.try_reserve(1).is_err() {
                return Next::Stop;
            }
            let text = || Gathered::new(TEXT_MAX);
            all.push(Begun {
                key: text(),
                id: text(),
                since: text(),
            });
        }
        let text = all.last_mut().and_then(|last| match place {
            "/Key" => Some(&mut last.key),
            "/UploadId" => Some(&mut last.id),
            "/Initiated" => Some(&mut last.since),
            _ => None,
        });
        match (text, node) {
            (Some(text), Node::Text(part)) => text.push(&part),
            (Some(text), Node::Entity) => text.spoil(),
            _ => {}
        }
        Next::Into
    })?;
    Some(all)
}

/// Makes the list of parts that completes an upload.
pub fn parts<'t>(tags: impl Iterator<Item = &'t str>) -> Result<String, TryReserveError> {
    let mut list = String::new();
    let mut append = |part: &str| {
        list.try_reserve(part.len())?;
        list.push_str(part);
        Ok::<(), TryReserveError>(())
    };
    append("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">")?;
    for (number, tag) in (1..).zip(tags) {
        let tag = quick_xml::escape::escape(tag);
        append(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
        ))?;
    }
    append("</CompleteMultipartUpload>")?;
    Ok(list)
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
        let both = uploads(uploads_of).unwrap();
        let texts = |begun: &Begun| {
            let texts = [&begun.key, &begun.id, &begun.since];
            texts.map(|text| text.get().unwrap_or("none").to_owned())
        };
        assert_eq!(
            both.iter().map(texts).collect::<Vec<_>>(),
            [["a/b", "1", "2026-01-02T03:04:05.000Z"], ["c", "2", ""]]
        );
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
            b"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            deep.as_bytes(),
        ] {
            assert_eq!(text_of(bad, "a"), None);
            assert!(!is_failure(bad));
            assert!(uploads(bad).is_none_or(|uploads| uploads.is_empty()));
        }
    }

    #[test]
    fn of_what_no_store_says_little_is_kept() {
        let upload = "<Upload><Key>k</Key><UploadId>1</UploadId></Upload>";
        let list = format!("<A>{}</A>", upload.repeat(3 * UPLOADS_MAX));
        assert_eq!(uploads(list.as_bytes()).unwrap().len(), UPLOADS_MAX);
        let long = "x".repeat(TEXT_MAX + 1);
        let error = format!("<Error><Code>{long}</Code><Message>short</Message></Error>");
        assert_eq!(text_of(error.as_bytes(), "Code"), None);
        assert_eq!(text_of(error.as_bytes(), "Message").unwrap(), "short");
        let list = format!("<A><Upload><Key>{long}</Key></Upload></A>");
        let uploads = uploads(list.as_bytes()).unwrap();
        assert_eq!(uploads[0].key.get(), None);
    }

    #[test]
    fn tags_are_escaped() {
        let xml = parts(["\"a\"", "<b>"].into_iter()).unwrap();
        assert_eq!(text_of(xml.as_bytes(), "ETag").unwrap(), "\"a\"");
        assert!(xml.contains("<PartNumber>2</PartNumber><ETag>&lt;b&gt;</ETag>"));
    }
}
