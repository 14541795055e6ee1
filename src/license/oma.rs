//! Reads OMA DRM rights objects, versions 1 and 2: XML.
//!
//! Sources: OMA-Download-REL-V1_0 and OMA-TS-DRM-REL-V2_0: both write ODRL 1.1.

use super::name::KEY_ID_MAX;
use super::statement::{BackupRight, Format, Said};
use super::xml;

const ROOT: &str = "ex:rights";
const NAMESPACES: [xml::Namespace; 3] = [
    xml::Namespace {
        uri: "http://odrl.net/1.1/ODRL-EX",
        prefix: "ex:",
    },
    xml::Namespace {
        uri: "http://odrl.net/1.1/ODRL-DD",
        prefix: "dd:",
    },
    xml::Namespace {
        uri: "http://www.openmobilealliance.com/oma-dd",
        prefix: "oma:",
    },
];

/// The path of the asset's own ID, and not that of a parent it inherits from.
const KEY_ID: &str = "ex:rights/ex:agreement/ex:asset/ex:context/dd:uid";
/// The elements that count uses down. A restored copy would restore the count, so that the backup
/// is denied: by our reading, since neither version has a permission for backups. Version 2 also
/// counts uses of some length.
const COUNTS: [&str; 2] = ["dd:count", "oma:timed-count"];
const CONSTRAINT: &str = "ex:constraint";

pub fn read(document: &str) -> Option<Said> {
    let (mut key_id, mut assets) = (xml::Gathered::new(KEY_ID_MAX), 0);
    let mut right = BackupRight::Unstated;
    xml::walk(document, &NAMESPACES, |path, node| {
        match node {
            xml::Node::Element(_) if path.split('/').next() != Some(ROOT) => {
                return xml::Next::Stop;
            }
            xml::Node::Element(_) if path == KEY_ID => assets += 1,
            xml::Node::Element(_) if right == BackupRight::Unstated => {
                let (above, element) = path.rsplit_once('/').unwrap_or_default();
                let counts = COUNTS
                    .iter()
                    .any(|count| element.eq_ignore_ascii_case(count));
                if counts && above.split('/').any(|element| element == CONSTRAINT) {
                    right = BackupRight::Denied;
                }
            }
            xml::Node::Element(_) => {}
            // If there are several assets, the first counts.
            xml::Node::Text(text) if path == KEY_ID && assets == 1 => key_id.push(&text),
            xml::Node::Text(_) => {}
        }
        xml::Next::Into
    })?;
    Some(Said {
        format: Format::Oma,
        key_id: key_id.get().map(str::to_owned),
        right,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn license(constraint: &str) -> String {
        format!(
            "<r:rights xmlns:r='http://odrl.net/1.1/ODRL-EX' xmlns='http://odrl.net/1.1/ODRL-DD' \
             xmlns:o='http://www.openmobilealliance.com/oma-dd'><r:agreement>\
             <r:asset><r:inherit><r:context><uid>parent</uid></r:context></r:inherit>\
             <r:context><uid>cid:1@x</uid></r:context></r:asset>\
             <r:asset><r:context><uid>cid:2@x</uid></r:context></r:asset>\
             <r:permission><play>{constraint}</play></r:permission></r:agreement></r:rights>"
        )
    }

    #[test]
    fn a_count_denies() {
        let cases = [
            ("", BackupRight::Unstated),
            (
                "<r:constraint><datetime/></r:constraint>",
                BackupRight::Unstated,
            ),
            (
                "<r:constraint><count>3</count></r:constraint>",
                BackupRight::Denied,
            ),
            (
                "<r:constraint><r:container><count/></r:container></r:constraint>",
                BackupRight::Denied,
            ),
            (
                "<r:constraint><o:timed-count o:timer='9'>3</o:timed-count></r:constraint>",
                BackupRight::Denied,
            ),
            (
                "<r:constraint><COUNT>3</COUNT></r:constraint>",
                BackupRight::Denied,
            ),
            ("<count>3</count>", BackupRight::Unstated),
            (
                "<r:constraint><count xmlns='urn:other'/></r:constraint>",
                BackupRight::Unstated,
            ),
        ];
        for (constraint, right) in cases {
            let said = read(&license(constraint)).unwrap();
            assert_eq!(said.right, right, "{constraint}");
            assert_eq!(said.key_id.as_deref(), Some("cid:1@x"));
        }
        assert!(read(&license("<r:constraint>")).is_none());
        assert!(read("<rights-too xmlns='http://odrl.net/1.1/ODRL-EX'/>").is_none());
        assert!(read("<rights/>").is_none());
    }
}
