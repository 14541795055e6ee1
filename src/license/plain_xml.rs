//! Walks over plain XML, which nearly every licence is: elements with ASCII names, texts without
//! references, and CDATA sections.
//!
//! It tells what [`xml::walk`](crate::xml::walk) tells, in a third of the instructions. Where a
//! document has anything else, it gives up, and says nothing about that document.

use memchr::{memchr, memchr_iter, memchr2};
use quick_xml::events::BytesStart;

use crate::xml::{Next, Node};

/// The limits of the depth of elements, and of the bytes of a name. Those of [`crate::xml`] are
/// higher, of the length of a path too.
const DEPTH_MAX: usize = 16;
const NAME_MAX: usize = 64;

/// Tells `visit` the elements and texts of a document in order, each with the path of its element.
/// None means that the document is not plain, that it is none, or that the walk was stopped; what
/// was told until then counts for nothing.
pub fn walk(document: &str, mut visit: impl FnMut(&str, Node) -> Next) -> Option<()> {
    let (mut names, mut depth) = ([""; DEPTH_MAX], 0_usize);
    let mut path = String::new();
    // The depth of the element that is passed over.
    let mut passed = None;
    let mut rest = document;
    loop {
        let markup = rest.strip_prefix('<')?;
        let mut ends = false;
        match markup.as_bytes().first()? {
            b'/' => {
                let name = names.get(depth.checked_sub(1)?)?;
                rest = markup
                    .strip_prefix('/')?
                    .strip_prefix(*name)?
                    .strip_prefix('>')?;
                ends = true;
            }
            b'!' if depth > 0 => {
                let text;
                (text, rest) = cdata(markup)?;
                if passed.is_none()
                    && let Next::Stop = visit(&path, Node::Text(text.into()))
                {
                    return None;
                }
            }
            _ => {
                let tag = Tag::read(markup)?;
                *names.get_mut(depth)? = tag.name;
                depth += 1;
                if passed.is_none() {
                    if depth > 1 {
                        path.push('/');
                    }
                    path.push_str(tag.name);
                    let element = BytesStart::from_content(tag.content, tag.name.len());
                    match visit(&path, Node::Element(&element)) {
                        Next::Into => {}
                        Next::Past => passed = Some(depth),
                        Next::Stop => return None,
                    }
                }
                (rest, ends) = (tag.rest, tag.is_empty);
            }
        }
        if ends {
            if passed.is_none_or(|passed| passed == depth) {
                passed = None;
                let name = names.get(depth - 1)?;
                // With the slash before it, which the root's name has none of.
                path.truncate(path.len().saturating_sub(name.len() + 1));
            }
            depth -= 1;
            if depth == 0 {
                return rest.is_empty().then_some(());
            }
        }
        // Most tags follow another tag, which is quicker seen than searched.
        if rest.starts_with('<') {
            continue;
        }
        let text;
        (text, rest) = rest.split_at_checked(memchr2(b'<', b'&', rest.as_bytes())?)?;
        if passed.is_none()
            && let Next::Stop = visit(&path, Node::Text(text.into()))
        {
            return None;
        }
    }
}

/// A tag that begins an element.
struct Tag<'d> {
    name: &'d str,
    /// The name and the attributes.
    content: &'d str,
    is_empty: bool,
    /// The document behind the tag.
    rest: &'d str,
}

impl<'d> Tag<'d> {
    /// Reads a tag behind its `<`. Its attributes are written ` name="value"`.
    fn read(markup: &'d str) -> Option<Tag<'d>> {
        let name = name(markup)?;
        let mut length = name.len();
        while let Some(attribute) = markup.get(length..)?.strip_prefix(' ') {
            let name = self::name(attribute)?;
            let value = attribute.get(name.len()..)?.strip_prefix("=\"")?;
            length += 1 + name.len() + 2 + memchr(b'"', value.as_bytes())? + 1;
        }
        let (content, end) = markup.split_at_checked(length)?;
        let (is_empty, end) = match end.strip_prefix('/') {
            Some(end) => (true, end),
            None => (false, end),
        };
        Some(Tag {
            name,
            content,
            is_empty,
            rest: end.strip_prefix('>')?,
        })
    }
}

/// Gives the name at the beginning of `text`.
fn name(text: &str) -> Option<&str> {
    let is_in_name =
        |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    let length = text.bytes().position(|byte| !is_in_name(byte))?;
    let (name, _) = text.split_at_checked(length)?;
    (1..=NAME_MAX).contains(&length).then_some(name)
}

/// Splits a CDATA section, behind its `<`, into its text and the document behind it.
fn cdata(markup: &str) -> Option<(&str, &str)> {
    let section = markup.strip_prefix("![CDATA[")?;
    let mut ends = memchr_iter(b'>', section.as_bytes());
    ends.find_map(|end| {
        let text = section.get(..end)?.strip_suffix("]]")?;
        Some((text, section.get(end + 1..)?))
    })
}

#[cfg(test)]
mod tests {
    use super::super::parsers::is_plain;
    use super::super::text;
    use super::{DEPTH_MAX, NAME_MAX};

    const LICENSE: &str = "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><LID>{1}</LID>\r\n<KID>YWJj</KID>\
                           <ONACTION type=\"Backup\"><CONDITION><![CDATA[ 1 ]]></CONDITION></ONACTION><META/>\
                           <META>a<![CDATA[b]]></META></DATA></LICENSORINFO></LICENSE>";
    /// What means something in XML, in the places where it does and in those where it does not.
    const PARTS: [&str; 36] = [
        "<",
        ">",
        "/",
        "&",
        ";",
        "'",
        "\"",
        "=",
        "!",
        "[",
        "]",
        "?",
        "-",
        ":",
        ".",
        " ",
        "\t",
        "\n",
        "\0",
        "a",
        "é",
        "\u{feff}",
        "/>",
        "</",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<?a?>",
        "<!DOCTYPE a>",
        "&amp;",
        "&#1;",
        "<KID>",
        "</KID>",
        "<a/>",
        " type=\"Backup\"",
    ];

    /// Gives the documents of the corpora, in UTF-8.
    fn documents() -> Vec<String> {
        let corpora = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let files =
            ["plain_xml", "wmdrm"].map(|target| std::fs::read_dir(corpora.join(target)).unwrap());
        let mut documents = vec![LICENSE.to_owned()];
        for file in files.into_iter().flatten() {
            let content = std::fs::read(file.unwrap().path()).unwrap();
            if let Some(text) = text::decode(&content).unwrap() {
                documents.push(text::document(&text).to_owned());
            }
        }
        documents.sort_unstable();
        documents
    }

    #[test]
    fn usual_licences_are_plain_and_others_are_not() {
        let nested = |count| "<a>".repeat(count) + &"</a>".repeat(count);
        let plain = [
            LICENSE.to_owned(),
            LICENSE.replace("YWJj", "é > ]]> '\""),
            LICENSE.replace("<META/>", "<META></META>\n<META a=\"<>'&\" b=\"\"/>"),
            LICENSE.replace(" 1 ", "]] > ]>] </DATA> & "),
            LICENSE.replace("<META/>", &format!("<{}/>", "n".repeat(NAME_MAX))),
            LICENSE.replace("<META/>", &nested(DEPTH_MAX - 3)),
        ];
        for document in plain {
            assert!(is_plain(&document), "{document}");
        }
        let others = [
            ("YWJj", "&#65;"),
            ("YWJj", "<!-- -->"),
            ("YWJj", "<?a?>"),
            ("<META/>", "<a:META/>"),
            ("<META/>", "<MÉTA/>"),
            ("<META/>", "<META />"),
            ("<META/>", "<META/"),
            ("<META/>", "<META"),
            ("<META/>", "<META></META >"),
            ("<META/>", "<META></MET>"),
            ("<META/>", "<></>"),
            ("<META/>", "<META a='b'/>"),
            ("<META/>", "<META a=b/>"),
            ("<META/>", "<META a/>"),
            ("<META/>", "<META a=\"b\"c=\"d\"/>"),
            ("<META/>", "</META>"),
            ("]]>", ""),
            ("<![CDATA[", "<![cdata["),
            ("<LICENSE", "<!DOCTYPE a><LICENSE"),
            ("<LICENSE", "<?xml version=\"1.0\"?><LICENSE"),
            ("<LICENSE", "<![CDATA[]]><LICENSE"),
            ("2.0.0.0", "3.0.0.0"),
            ("</LICENSE>", "</LICENSE><a/>"),
            ("</LICENSE>", "</LICENSE> "),
            ("</LICENSE>", "</LICENSE></LICENSE>"),
            ("</LICENSE>", ""),
        ];
        let long_name = format!("<{}/>", "n".repeat(NAME_MAX + 1));
        let deep = nested(DEPTH_MAX - 2);
        let others = others
            .into_iter()
            .chain([("<META/>", &*long_name), ("<META/>", &*deep)]);
        for (text, other) in others {
            let document = LICENSE.replace(text, other);
            assert!(!is_plain(&document), "{document}");
        }
    }

    #[test]
    fn every_change_at_every_place_is_read_alike() {
        let mut plain = 0;
        for at in 0..=LICENSE.len() {
            let (before, after) = LICENSE.split_at(at);
            for part in PARTS {
                plain += u32::from(is_plain(&format!("{before}{part}{after}")));
                plain += u32::from(is_plain(&format!(
                    "{before}{part}{}",
                    after.get(1..).unwrap_or_default()
                )));
            }
            plain += u32::from(is_plain(before));
            for length in 1..=after.len() {
                let (range, rest) = after.split_at(length);
                plain += u32::from(is_plain(&format!("{before}{rest}")));
                plain += u32::from(is_plain(&format!("{before}{range}{range}{rest}")));
            }
        }
        assert!(plain > 1000, "{plain}");
    }

    #[test]
    fn many_changes_at_once_are_read_alike() {
        let documents = documents();
        let mut random = 1_u64;
        // Knuth's generator; its low bits are none to rely on.
        let mut below = |end: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % end
        };
        let mut plain = 0;
        for _ in 0..20_000 {
            let mut document = documents[below(documents.len())].clone().into_bytes();
            for _ in 0..=below(3) {
                let start = below(document.len() + 1);
                let end = start + below(document.len() + 1 - start).min(below(64));
                let range = document[start..end].to_vec();
                match below(6) {
                    0 => drop(document.drain(start..end)),
                    1 => drop(document.splice(start..start, range)),
                    2 => {
                        let other = below(document.len() + 1);
                        drop(document.splice(other..other, range));
                    }
                    3 => drop(document.splice(start..end, PARTS[below(PARTS.len())].bytes())),
                    _ => drop(document.splice(start..start, PARTS[below(PARTS.len())].bytes())),
                }
            }
            if let Ok(document) = str::from_utf8(&document) {
                plain += u32::from(is_plain(document));
            }
        }
        assert!(plain > 300, "{plain}");
    }
}
