//! Decides whether a backup may come to this machine: by the user's consent, and by the host's
//! authorizer.

use std::sync::Arc;

use super::options::Options;
use crate::engine::authorizer::{Authorizer, Refusal};
use crate::engine::operation::Operation;
use crate::engine::operation::listener::Notice;
use crate::engine::reading::backup_file::Backup;
use crate::engine::reading::info::{Info, Machine};
use crate::error::{Error, Outcome, Result};

/// The side of the machine that a backup comes to.
pub struct Transfer {
    /// The host's word for this machine, if there is one.
    pub machine: Option<String>,
    pub authorizer: Option<Arc<dyn Authorizer>>,
}

impl Transfer {
    /// Fails if the backup, which is open and will be restored, may not come to this machine.
    pub fn permit(
        &self,
        operation: &Arc<Operation>,
        backup: &Backup,
        options: Options,
    ) -> Result<()> {
        let info = Info::of(backup, self.machine.as_deref())?;
        if info.machine == Machine::Other {
            consent(operation, backup, options)?;
        }
        match &self.authorizer {
            Some(authorizer) if !options.dry_run => ask(operation, Arc::clone(authorizer), info),
            _ => Ok(()),
        }
    }
}

/// Fails if the user has not consented to binding the licences to this machine.
fn consent(operation: &Operation, backup: &Backup, options: Options) -> Result<()> {
    if options.individualize {
        operation.tell(Notice::Individualize);
        return operation.settle();
    }
    operation.tell(Notice::NeedsIndividualization);
    match options.dry_run {
        true => operation.settle(),
        false => Err(Error::new(
            Outcome::NeedsIndividualization,
            format!(
                "{backup} is of another machine than the one that MachineId names. Ask the user for \
                 consent to bind its licences to this machine, and restore with that consent \
                 (LICBAK_WM_RESTORE_INDIVIDUALIZE)."
            ),
        )),
    }
}

fn ask(operation: &Arc<Operation>, authorizer: Arc<dyn Authorizer>, info: Info) -> Result<()> {
    operation.tell(Notice::Connecting);
    // The host knows of it, and has not objected, before its service is asked.
    operation.settle()?;
    let answer = operation
        .ask(move |_| authorizer.authorize(&info))?
        .map_err(|Refusal { error, url }| {
            if let Some(url) = url {
                let outcome = error.outcome;
                operation.tell(Notice::ErrorWithUrl { outcome, url });
            }
            error
        });
    operation.tell(Notice::Disconnecting);
    answer?;
    // Nothing is done before the host knows the answer.
    operation.settle()
}
