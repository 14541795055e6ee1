//! Windows Media DRM 7, "version 7 licences": XML.
//!
//! [MS-DRM], Digital Rights Management License Protocol, 2.2.3.2.4.2.

use super::{BackupRight, Format, Said, xml};

pub const ROOT: &str = "LICENSE";
pub const VERSION: &str = "2.0.0.0";

/// The key ID. [MS-DRM] 2.2.3.2.4.2 has the element in its schema.
const KEY_ID: &str = "LICENSE/LICENSORINFO/DATA/KID";

/// What grants the backup: an action of that type, unless its condition is always false. Without one
/// the issuer denies it.
///
/// That the right is called "Backup" stands in [MS-DRM] 2.2.3.1.3.1 (ACTION), and that it is not
/// granted by default in the Windows Media Rights Manager SDK (WMRMRights.AllowBackupRestore). In
/// doubt is where a licence says so: [MS-DRM] 2.2.1.7 leaves the format of rights to the issuer's
/// software, and no licence of such software may be published. ONACTION with its type is our reading.
/// Conditions are small programs; only constants are understood here, and any other counts as a grant.
const GRANT: Grant = Grant {
    action: "LICENSE/LICENSORINFO/DATA/ONACTION",
    attribute: "type",
    right: "Backup",
    condition: "LICENSE/LICENSORINFO/DATA/ONACTION/CONDITION",
    never: ["0", "false"],
};

struct Grant {
    action: &'static str,
    attribute: &'static str,
    right: &'static str,
    condition: &'static str,
    never: [&'static str; 2],
}

pub fn read(document: &str) -> Option<Said> {
    let mut key_id = String::new();
    // The conditions of actions that would grant the backup, and whether the last action is one.
    let (mut conditions, mut grants) = (Vec::<String>::new(), false);
    xml::walk(document, &[], |path, node| {
        match &node {
            xml::Node::Element(_) if path == GRANT.action => {
                let action = node.attribute(GRANT.attribute).unwrap_or_default();
                grants = action.trim().eq_ignore_ascii_case(GRANT.right);
                if grants {
                    conditions.push(String::new());
                }
            }
            // Most of a licence is of no interest.
            xml::Node::Element(_) if !leads_to_what_is_read(path) => return xml::Next::Past,
            xml::Node::Text(text) if path == KEY_ID => key_id.push_str(text),
            xml::Node::Text(text) if grants && path == GRANT.condition => {
                if let Some(condition) = conditions.last_mut() {
                    condition.push_str(text);
                }
            }
            _ => {}
        }
        xml::Next::Into
    })?;
    let granted = |condition: &String| {
        let condition = condition.trim();
        let never = |constant: &&str| condition.eq_ignore_ascii_case(constant);
        !GRANT.never.iter().any(never)
    };
    Some(Said {
        format: Format::Wmdrm,
        key_id: Some(xml::trimmed(&key_id).to_owned()),
        right: match conditions.iter().any(granted) {
            true => BackupRight::Allowed,
            false => BackupRight::Denied,
        },
    })
}

/// Whether the element of this path is read, or one in it.
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

    fn license(actions: &str) -> String {
        format!(
            "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><LID>{{1}}</LID><KID> a&#x41;== </KID>\
             <META><ONACTION type=\"Backup\"/><KID>no</KID></META>{actions}</DATA></LICENSORINFO></LICENSE>"
        )
    }

    #[test]
    fn the_right_is_denied_unless_granted() {
        let cases = [
            ("", BackupRight::Denied),
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
                 <ONACTION type='Backup'><CONDITION>machine.count > 1</CONDITION></ONACTION>",
                BackupRight::Allowed,
            ),
            ("<ONACTION>Backup</ONACTION>", BackupRight::Denied),
            ("<X><ONACTION type='Backup'/></X>", BackupRight::Denied),
        ];
        for (actions, right) in cases {
            let said = read(&license(actions)).unwrap();
            assert_eq!(said.right, right, "{actions}");
            assert_eq!(said.key_id.as_deref(), Some("aA=="));
        }
        assert!(read(&license("<ONACTION type='Backup'>")).is_none());
    }
}
