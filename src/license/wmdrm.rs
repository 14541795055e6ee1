//! Reads licences of Windows Media DRM 7, "version 7 licences": XML.
//!
//! Source: [MS-DRM], Digital Rights Management License Protocol, 2.2.3.2.4.2.

use std::borrow::Cow;

use super::name::KEY_ID_MAX;
use super::plain_xml;
use super::statement::{BackupRight, Format, KeyIds, Said};
use crate::xml;

pub const VERSION: &str = "2.0.0.0";
/// The beginning of a licence as nearly all are written.
const PLAIN: &str = "<LICENSE version=\"2.0.0.0\">";
/// The path of all that a licence says; what is encrypted for its machine has none.
const INFO: &str = "LICENSE/LICENSORINFO";

/// The path of the key ID. [MS-DRM] 2.2.3.2.4.2 has the element in its schema.
const KEY_ID: &str = "LICENSE/LICENSORINFO/DATA/KID";

/// The grant of the backup: an action of that type, whose conditions, if there are any, are always
/// true. Without one the issuer denies it.
///
/// Sources: [MS-DRM] 2.2.3.1.3.1 (ACTION) calls the right "Backup"; the Windows Media Rights
/// Manager SDK (WMRMRights.AllowBackupRestore) says that it is not granted by default. The place of
/// the grant in a licence is in doubt: [MS-DRM] 2.2.1.7 leaves the format of rights to the issuer's
/// software, and no licence of such software may be published. ONACTION with its type is our
/// reading. Conditions are small programs; only constants are understood here, and any other is no
/// grant.
const GRANT: Grant = Grant {
    action: "LICENSE/LICENSORINFO/DATA/ONACTION",
    attribute: "type",
    right: "Backup",
    condition: "LICENSE/LICENSORINFO/DATA/ONACTION/CONDITION",
    always: ["1", "true"],
};

struct Grant {
    action: &'static str,
    attribute: &'static str,
    right: &'static str,
    condition: &'static str,
    always: [&'static str; 2],
}

/// The statements of the actions read so far about the right.
#[derive(Default)]
struct Actions {
    is_granted: bool,
    /// The conditions of the action being read hold so far; none if it is not about the right.
    holds: Option<bool>,
    /// The condition that is being read.
    condition: Option<xml::Gathered>,
}

impl Actions {
    /// Begins an action, and tells whether it is about the right.
    fn begin(&mut self, action: &str) -> bool {
        self.end_action();
        let is_about_it = action.trim().eq_ignore_ascii_case(GRANT.right);
        self.holds = is_about_it.then_some(true);
        is_about_it
    }

    fn begin_condition(&mut self) {
        self.end_condition();
        // The limit is longer than any constant.
        self.condition = self.holds.map(|_| xml::Gathered::new(16));
    }

    fn end_condition(&mut self) {
        if let (Some(holds), Some(condition)) = (&mut self.holds, self.condition.take()) {
            let is = |always: &&str| {
                condition
                    .get()
                    .is_some_and(|c| c.eq_ignore_ascii_case(always))
            };
            *holds &= GRANT.always.iter().any(is);
        }
    }

    fn end_action(&mut self) {
        self.end_condition();
        self.is_granted |= self.holds.take() == Some(true);
    }
}

/// The findings in a licence so far.
#[derive(Default)]
pub struct Reading {
    key_ids: KeyIds,
    /// The key ID that is being read.
    key_id: Option<xml::Gathered>,
    actions: Actions,
    /// The licence can be read.
    pub is_open: bool,
}

impl Reading {
    /// Takes in what is in a licence. Most of it is of no interest.
    pub fn visit(&mut self, path: &str, node: &xml::Node) -> xml::Next {
        match node {
            xml::Node::Element(_) => return self.element(path, node),
            xml::Node::Text(text) => {
                if let Some(gathered) = self.gathered(path) {
                    gathered.push(text);
                }
            }
            xml::Node::Entity => {
                if let Some(gathered) = self.gathered(path) {
                    gathered.spoil();
                }
            }
        }
        xml::Next::Into
    }

    fn element(&mut self, path: &str, node: &xml::Node) -> xml::Next {
        match path {
            _ if path == GRANT.action => {
                let action = node.attribute(GRANT.attribute).unwrap_or_default();
                if !self.actions.begin(&action) {
                    return xml::Next::Past;
                }
            }
            _ if path == GRANT.condition => self.actions.begin_condition(),
            KEY_ID => {
                self.end_key_id();
                self.key_id = Some(xml::Gathered::new(KEY_ID_MAX));
            }
            INFO => self.is_open = true,
            _ if !leads_to_what_is_read(path) => return xml::Next::Past,
            _ => {}
        }
        xml::Next::Into
    }

    /// Gives what gathers the text of the element with this path.
    fn gathered(&mut self, path: &str) -> Option<&mut xml::Gathered> {
        match path {
            KEY_ID => self.key_id.as_mut(),
            _ if path == GRANT.condition => self.actions.condition.as_mut(),
            _ => None,
        }
    }

    fn end_key_id(&mut self) {
        if let Some(key_id) = self.key_id.take()
            && let Some(key_id) = key_id.get()
        {
            self.key_ids.push(&in_one_line(key_id));
        }
    }

    pub fn said(mut self) -> Said {
        self.end_key_id();
        self.actions.end_action();
        Said {
            format: Format::Wmdrm,
            key_ids: self.key_ids,
            right: match self.actions.is_granted {
                true => BackupRight::Allowed,
                false => BackupRight::Denied,
            },
        }
    }
}

/// Gives a key ID, which is base64, without the breaks of lines in it.
fn in_one_line(key_id: &str) -> Cow<'_, str> {
    match key_id.contains(['\r', '\n']) {
        true => key_id.split_ascii_whitespace().collect(),
        false => key_id.into(),
    }
}

/// Reads a licence as nearly all are written; of any other None is given.
pub fn read_plain(document: &str) -> Option<Said> {
    if !document.starts_with(PLAIN) {
        return None;
    }
    let mut reading = Reading::default();
    plain_xml::walk(document, |path, node| reading.visit(path, &node))?;
    Some(reading.said())
}

/// Tells whether the element of this path, or one in it, is read.
fn leads_to_what_is_read(path: &str) -> bool {
    let leads_to = |read: &str| {
        let rest = read.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    leads_to(KEY_ID) || leads_to(GRANT.condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Option<Said> {
        let mut reading = Reading::default();
        xml::walk(document, &[], |path, node| reading.visit(path, &node))?;
        Some(reading.said())
    }

    fn license(actions: &str) -> String {
        format!(
            "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><LID>{{1}}</LID><KID> a&#x41;== </KID>\
             <META><ONACTION type=\"Backup\"/><KID>no</KID></META>{actions}</DATA></LICENSORINFO></LICENSE>"
        )
    }

    #[test]
    fn the_right_is_denied_unless_granted() {
        let in_data = format!("<WMRM><![CDATA[<{}]]></WMRM>", "v".repeat(10_000));
        let cases = [
            ("", BackupRight::Denied),
            (&in_data, BackupRight::Denied),
            ("<ONACTION type='Play'/>", BackupRight::Denied),
            ("<ONACTION type='BACKUP'/>", BackupRight::Allowed),
            (
                "<ONACTION type='backup'><CONDITION><![CDATA[ 1 ]]></CONDITION></ONACTION>",
                BackupRight::Allowed,
            ),
            (
                "<ONACTION type='Backup'><CONDITION><![CDATA[ 0 ]]></CONDITION></ONACTION>\
                 <ONACTION type='Play'><CONDITION>1</CONDITION></ONACTION>",
                BackupRight::Denied,
            ),
            (
                "<ONACTION type='Backup'><CONDITION>False</CONDITION></ONACTION>\
                 <ONACTION type='Backup'><CONDITION> True </CONDITION></ONACTION>",
                BackupRight::Allowed,
            ),
            (
                "<ONACTION type='Backup'><CONDITION>machine.count > 1</CONDITION></ONACTION>",
                BackupRight::Denied,
            ),
            (
                "<ONACTION type='Backup'><CONDITION>1</CONDITION><CONDITION>0</CONDITION></ONACTION>",
                BackupRight::Denied,
            ),
            (
                "<ONACTION type='Backup'><CONDITION/></ONACTION>",
                BackupRight::Denied,
            ),
            ("<z:ONACTION type='Backup'/>", BackupRight::Denied),
            (
                "<ONACTION type='Backup'/><KID>second</KID>",
                BackupRight::Allowed,
            ),
            ("<ONACTION>Backup</ONACTION>", BackupRight::Denied),
            ("<X><ONACTION type='Backup'/></X>", BackupRight::Denied),
        ];
        for (actions, right) in cases {
            let said = read(&license(actions)).unwrap();
            assert_eq!(said.right, right, "{actions}");
            assert_eq!(said.key_ids.all().first(), Some(&"aA=="));
        }
        assert!(read(&license("<ONACTION type='Backup'>")).is_none());
        assert!(read(&license("<ONACTION type='Play'><CONDITION></ONACTION>")).is_none());
    }

    #[test]
    fn key_ids_are_what_is_known_of_them() {
        let cases: [(&str, &[&str]); 7] = [
            ("<KID>AAEC\r\n  AwQ=</KID>", &["AAECAwQ="]),
            ("<KID><![CDATA[AAEC]]>AwQ=</KID>", &["AAECAwQ="]),
            ("<KID>a b</KID>", &["a b"]),
            ("<KID>a</KID><KID>b</KID><KID>a</KID>", &["a", "b"]),
            ("<KID>&e;</KID><KID>b</KID>", &["b"]),
            ("<KID>a&e;</KID>", &[]),
            ("<KID/>", &[]),
        ];
        for (key_ids, expected) in cases {
            let document = format!(
                "<!DOCTYPE LICENSE [<!ENTITY e 'x'>]><LICENSE version='2.0.0.0'><LICENSORINFO><DATA>\
                 <LID>&e;</LID>{key_ids}<ONACTION type='Backup'><CONDITION>1</CONDITION></ONACTION>\
                 </DATA></LICENSORINFO></LICENSE>"
            );
            let said = read(&document).unwrap();
            assert_eq!(said.key_ids.all(), expected, "{key_ids}");
            assert_eq!(said.right, BackupRight::Allowed);
            // What grants must be known.
            for (text, other) in [(">1<", ">1&e;<"), ("Backup", "Back&e;up")] {
                let said = read(&document.replace(text, other)).unwrap();
                assert_eq!(said.right, BackupRight::Denied);
            }
        }
    }
}
