//! Reads OMA DRM rights objects, versions 1 and 2: XML, its binary form, and the messages that
//! bring them.
//!
//! Sources: OMA-Download-REL-V1_0 and OMA-TS-DRM-REL-V2_0, which both write ODRL 1.1;
//! OMA-TS-DRM-DRM-V2_0, 5 (ROAP).

use memchr::{memchr, memchr_iter, memmem};

use super::name::KEY_ID_MAX;
use super::statement::{BackupRight, Format, KeyIds, Said};
use super::wbxml;
use crate::xml;

const ROOT: &str = "ex:rights";
const NAMESPACES: [xml::Namespace; 4] = [
    xml::Namespace {
        uri: "http://odrl.net/1.1/ODRL-EX",
        usual: "o-ex",
        prefix: "ex:",
    },
    xml::Namespace {
        uri: "http://odrl.net/1.1/ODRL-DD",
        usual: "o-dd",
        prefix: "dd:",
    },
    xml::Namespace {
        uri: "http://www.openmobilealliance.com/oma-dd",
        usual: "oma-dd",
        prefix: "oma:",
    },
    xml::Namespace {
        uri: "urn:oma:bac:dldrm:roap-1.0",
        usual: "roap",
        prefix: "roap:",
    },
];

/// The messages whose rights objects are read, and the names of these in them: the schema of ROAP
/// leaves elements inside a message without a namespace; some programs give them one.
const MESSAGES: [&str; 2] = ["roap:roResponse", "roap:protectedRO"];
const IN_MESSAGE: [&str; 2] = ["rights", ROOT];

/// The path of the asset's own ID below the rights, and not that of a parent it inherits from.
const KEY_ID: &str = "ex:agreement/ex:asset/ex:context/dd:uid";
/// The elements of a state that is used up, uses or time: the constraints of OMA-TS-DRM-REL-V2_0,
/// the first and the third of version 1 too. A restored copy would restore what is used up, so that
/// the backup is denied: by our reading, since neither version has a permission for backups.
const STATES: [&str; 4] = ["count", "timed-count", "interval", "accumulated"];
const NAMESPACES_OF_STATES: [&str; 2] = ["dd:", "oma:"];
const CONSTRAINT: &str = "ex:constraint";

/// The elements of the binary form by their tokens, from the first on: OMA-Download-REL-V1_0,
/// "WBXML encoding"; the same in github.com/libwbxml/libwbxml.
const TOKENS: [&str; 19] = [
    "ex:rights",
    "ex:context",
    "dd:version",
    "dd:uid",
    "ex:agreement",
    "ex:asset",
    "ds:KeyInfo",
    "ds:KeyValue",
    "ex:permission",
    "dd:play",
    "dd:display",
    "dd:execute",
    "dd:print",
    "ex:constraint",
    "dd:count",
    "dd:datetime",
    "dd:start",
    "dd:end",
    "dd:interval",
];
const BINARY: wbxml::Kind = wbxml::Kind {
    public_id: 0x0E,
    public_names: ["-//OMA//DTD REL 1.0//EN", "-//OMA//DTD DRMREL 1.0//EN"],
    tokens: &TOKENS,
    namespaces: &NAMESPACES,
};

/// The findings in rights objects so far.
#[derive(Default)]
struct Reading {
    is_any: bool,
    key_ids: KeyIds,
    /// The key ID that is being read.
    key_id: Option<xml::Gathered>,
    is_denied: bool,
}

impl Reading {
    fn visit(&mut self, path: &str, node: &xml::Node) -> xml::Next {
        let Some(path) = below_rights(path) else {
            let root = path.split('/').next().unwrap_or_default();
            return match MESSAGES.contains(&root) {
                true => xml::Next::Into,
                false => xml::Next::Stop,
            };
        };
        match (path, node) {
            (KEY_ID, xml::Node::Element(_)) => {
                self.end_key_id();
                self.key_id = Some(xml::Gathered::new(KEY_ID_MAX));
            }
            (KEY_ID, node) => {
                if let Some(key_id) = &mut self.key_id {
                    match node {
                        xml::Node::Text(text) => key_id.push(text),
                        _ => key_id.spoil(),
                    }
                }
            }
            (_, xml::Node::Element(_)) => {
                self.is_any = true;
                self.is_denied |= constrains_state(path);
            }
            _ => {}
        }
        xml::Next::Into
    }

    fn end_key_id(&mut self) {
        if let Some(key_id) = self.key_id.take()
            && let Some(key_id) = key_id.get()
        {
            self.key_ids.push(key_id);
        }
    }

    fn said(mut self) -> Option<Said> {
        self.end_key_id();
        self.is_any.then_some(Said {
            format: Format::Oma,
            key_ids: self.key_ids,
            right: match self.is_denied {
                true => BackupRight::Denied,
                false => BackupRight::Unstated,
            },
        })
    }
}

/// Gives the path below the rights; None where it does not lead there.
fn below_rights(path: &str) -> Option<&str> {
    let (root, mut below) = path.split_once('/').unwrap_or((path, ""));
    if root == ROOT {
        return Some(below);
    }
    if !MESSAGES.contains(&root) {
        return None;
    }
    loop {
        let (element, rest) = below.split_once('/').unwrap_or((below, ""));
        if IN_MESSAGE.contains(&element) {
            return Some(rest);
        }
        if rest.is_empty() {
            return None;
        }
        below = rest;
    }
}

/// Tells whether this is the path of a constraint that is used up.
fn constrains_state(path: &str) -> bool {
    let (above, element) = path.rsplit_once('/').unwrap_or_default();
    let local = NAMESPACES_OF_STATES
        .iter()
        .find_map(|namespace| element.strip_prefix(namespace));
    let is_state =
        local.is_some_and(|local| STATES.iter().any(|state| local.eq_ignore_ascii_case(state)));
    is_state && above.split('/').any(|element| element == CONSTRAINT)
}

pub fn read(document: &str) -> Option<Said> {
    let mut reading = Reading::default();
    xml::walk(document, &NAMESPACES, |path, node| {
        reading.visit(path, &node)
    })?;
    reading.said()
}

/// Reads a message that delivers content together with its rights: OMA-Download-DRM-V1_0,
/// "Combined Delivery".
pub fn read_message(content: &[u8]) -> Option<Said> {
    let mut rest = content.strip_prefix(b"--")?;
    loop {
        let line = rest.get(..memchr(b'\n', rest)? + 1)?;
        rest = rest.get(line.len()..)?;
        let name = line.get(..CONTENT_TYPE.len()).unwrap_or_default();
        if name.eq_ignore_ascii_case(CONTENT_TYPE.as_bytes()) {
            let kind = line.get(CONTENT_TYPE.len()..)?.trim_ascii();
            let kind = kind.get(..RIGHTS.len()).unwrap_or_default();
            if kind.eq_ignore_ascii_case(RIGHTS.as_bytes()) {
                break;
            }
        }
    }
    let mut breaks = memchr_iter(b'\n', rest);
    let start = breaks.find(|at| {
        let line = rest.get(at + 1..).unwrap_or_default();
        line.starts_with(b"\n") || line.starts_with(b"\r\n")
    });
    // The headers may have been over with that line.
    let rights = match rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
        true => rest,
        false => rest.get(start?..)?,
    };
    let rights = rights.get(..memmem::find(rights, b"\n--")?)?;
    read(str::from_utf8(rights).ok()?.trim_ascii())
}

/// The header, and what it has in the part with the rights.
const CONTENT_TYPE: &str = "Content-Type:";
const RIGHTS: &str = "application/vnd.oma.drm.rights+xml";

/// Reads the binary form.
pub fn read_binary(content: &[u8]) -> Option<Said> {
    let mut reading = Reading::default();
    wbxml::walk(content, &BINARY, |path, node| reading.visit(path, node))?;
    reading.said()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: [&str; 7] = [
        "<r:constraint><d:count>3</d:count></r:constraint>",
        "<r:constraint><r:container><d:count/></r:container></r:constraint>",
        "<r:constraint><o:timed-count o:timer='9'>3</o:timed-count></r:constraint>",
        "<r:constraint><d:COUNT>3</d:COUNT></r:constraint>",
        "<r:constraint><d:interval>P30D</d:interval></r:constraint>",
        "<r:constraint><d:accumulated>PT10H</d:accumulated></r:constraint>",
        "<r:constraint><o:Accumulated>PT10H</o:Accumulated></r:constraint>",
    ];
    const UNSTATED: [&str; 5] = [
        "",
        "<r:constraint><d:datetime><d:start>2020-01-01T00:00:00</d:start></d:datetime></r:constraint>",
        "<d:count>3</d:count>",
        "<r:constraint><count xmlns='urn:other'/></r:constraint>",
        "<r:constraint><r:count/></r:constraint>",
    ];

    fn rights(root: &str, constraint: &str) -> String {
        format!(
            "<{root} xmlns:r='http://odrl.net/1.1/ODRL-EX' xmlns:d='http://odrl.net/1.1/ODRL-DD' \
             xmlns:o='http://www.openmobilealliance.com/oma-dd'>\
             <r:context><d:uid>the rights object</d:uid></r:context><r:agreement>\
             <r:asset><r:inherit><r:context><d:uid>parent</d:uid></r:context></r:inherit>\
             <r:context><d:uid> cid:1@x </d:uid></r:context></r:asset>\
             <r:asset><r:context><d:uid>cid:2@x</d:uid></r:context></r:asset>\
             <r:permission><d:play>{constraint}</d:play></r:permission></r:agreement></{root}>"
        )
    }

    #[test]
    fn what_is_used_up_denies() {
        let denied = DENIED.map(|constraint| (constraint, BackupRight::Denied));
        let unstated = UNSTATED.map(|constraint| (constraint, BackupRight::Unstated));
        for (constraint, right) in denied.into_iter().chain(unstated) {
            let said = read(&rights("r:rights", constraint)).unwrap();
            assert_eq!(said.right, right, "{constraint}");
            assert_eq!(said.key_ids.all(), ["cid:1@x", "cid:2@x"]);
        }
        assert!(read(&rights("r:rights", "<r:constraint>")).is_none());
        assert!(read(&rights("rights", "")).is_none());
        assert!(read("<rights-too xmlns='http://odrl.net/1.1/ODRL-EX'/>").is_none());
    }

    #[test]
    fn messages_are_read() {
        let roap = "xmlns:roap='urn:oma:bac:dldrm:roap-1.0'";
        for root in ["r:rights", "rights"] {
            let inner = rights(root, DENIED[0]);
            for message in [
                format!(
                    "<roap:roResponse {roap} status='Success'><deviceID/><roap:protectedRO>\
                     <roap:ro id='n' stateful='true'><riID/>{inner}</roap:ro><mac/></roap:protectedRO>\
                     <signature>d9</signature></roap:roResponse>"
                ),
                format!("<roap:protectedRO {roap}><ro>{inner}</ro></roap:protectedRO>"),
                format!(
                    "<roap:roResponse><protectedRO><ro>{}</ro></protectedRO>\
                     <protectedRO><ro>{inner}</ro></protectedRO></roap:roResponse>",
                    rights(root, "")
                ),
            ] {
                let said = read(&message).unwrap();
                assert_eq!(said.right, BackupRight::Denied, "{message}");
                assert_eq!(said.key_ids.all(), ["cid:1@x", "cid:2@x"]);
            }
            for message in [
                format!("<roap:roResponse {roap} status='Abort'/>"),
                format!("<roap:other {roap}>{inner}</roap:other>"),
                format!("<roResponse>{inner}</roResponse>"),
            ] {
                assert!(read(&message).is_none(), "{message}");
            }
        }
    }

    #[test]
    fn rights_in_a_drm_message_are_read() {
        let rights = rights("r:rights", DENIED[0]);
        let message = |kind: &str, line: &str| {
            let parts = [
                "--b",
                "Content-Transfer-Encoding: 8bit",
                kind,
                "",
                &rights,
                "--b",
                "Content-Type: image/jpeg",
                "",
                "\u{FF}",
                "--b--",
                "",
            ];
            parts.join(line).into_bytes()
        };
        for line in ["\n", "\r\n"] {
            let said = read_message(&message(
                "Content-type: Application/vnd.oma.drm.rights+xml",
                line,
            ));
            let said = said.unwrap();
            assert_eq!(said.right, BackupRight::Denied);
            assert_eq!(said.key_ids.all(), ["cid:1@x", "cid:2@x"]);
            assert!(read_message(&message("Content-Type: text/plain", line)).is_none());
        }
        let cut = message("Content-Type: application/vnd.oma.drm.rights+xml", "\n");
        for length in [0, 3, 40, 100, 200] {
            assert!(read_message(&cut[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn a_key_id_that_names_an_entity_is_not_known() {
        let document = format!("<!DOCTYPE a [<!ENTITY e 'x'>]>{}", rights("r:rights", ""));
        let said = read(&document.replace("cid:1", "cid&e;:1")).unwrap();
        assert_eq!(said.key_ids.all(), ["cid:2@x"]);
    }

    #[test]
    fn the_binary_form_says_the_same() {
        let element = |token: u8, content: &[u8]| [&[token | 0x40], content, &[1]].concat();
        let string = |text: &str| [&[3], text.as_bytes(), &[0]].concat();
        let rights = |constraint: &[u8]| {
            let context = element(6, &element(8, &string("cid:1@x")));
            let assets = [
                element(10, &context),
                element(10, &element(6, &element(8, &string("cid:2@x")))),
            ];
            let permission = element(13, &element(14, constraint));
            let agreement = element(9, &[&assets.concat()[..], &permission].concat());
            let begin = b"\x03\x0E\x6A\0\xC5\x05\x85\x06\x86\x01";
            let version = element(6, &element(7, &string("1.0")));
            [&begin[..], &version, &agreement, &[1]].concat()
        };
        for (constraint, right) in [
            (vec![], BackupRight::Unstated),
            (
                element(0x12, &element(0x13, &string("3"))),
                BackupRight::Denied,
            ),
            (
                element(0x12, &element(0x17, &string("P30D"))),
                BackupRight::Denied,
            ),
            (
                element(0x12, &element(0x14, &element(0x15, &string("2020")))),
                BackupRight::Unstated,
            ),
            (element(0x13, &string("3")), BackupRight::Unstated),
        ] {
            let said = read_binary(&rights(&constraint)).unwrap();
            assert_eq!((said.format, said.right), (Format::Oma, right));
            assert_eq!(said.key_ids.all(), ["cid:1@x", "cid:2@x"]);
        }
        // Another root is no rights object.
        assert!(read_binary(b"\x03\x0E\x6A\0\x49\x01").is_none());
    }
}
