//! Restores a backup into a store.

mod options;
mod report;
mod room;
mod selection;
mod to_database;
mod to_directory;
mod to_host;
mod transfer;

pub use self::options::Options;
use self::selection::{choose, open};
use self::to_database::restore_to_database;
use self::to_directory::restore_to_directory;
use self::to_host::restore_to_host;
use self::transfer::Transfer;
use crate::engine::operation::Story;
use crate::engine::operation::progress::Phase;
use crate::engine::properties::Property;
use crate::engine::reading::check::Walk;
use crate::engine::restorer::{Plan, Settings};
use crate::error::{Error, Outcome, Result};
use crate::store::{Place, RestoreTarget};

/// Plans the restore of all licences, or of those with one key ID.
pub fn plan(settings: &Settings, key_id: Option<String>, mut options: Options) -> Result<Plan> {
    let backup = settings.properties.location(Property::RestorePath)?;
    let keys = settings.properties.keys();
    let place = settings.place()?;
    if matches!(&place, Place::Host(host) if !host.can_restore(options.dry_run)) {
        return Err(Error::new(
            Outcome::NotImplemented,
            "The host's store has no functions get and put, which a restore needs.",
        ));
    }
    let transfer = Transfer {
        machine: settings.properties.machine().map(str::to_owned),
        authorizer: settings.authorizer.clone(),
    };
    let workers = settings.properties.workers();
    let story: Story = Box::new(move |operation, pool| {
        operation.counters.enter(Phase::Listing, 0);
        let opened = open(operation, &*backup, &keys, options.salvage)?;
        transfer.permit(operation, &opened.backup, options)?;
        let choice = choose(operation, opened, key_id.as_deref(), options.salvage)?;
        // A licence found in a damaged backup may be older than the one in the store.
        options.overwrite &= choice.damage.is_none();
        let walk = Walk {
            operation,
            pool,
            workers,
            backup: &choice.backup,
            is_again: false,
        };
        let selection = &choice.selection;
        let store =
            place.open_for_restore(options.overwrite, options.dry_run, operation.go_on())?;
        let damage = match store {
            RestoreTarget::Host(host) => restore_to_host(walk, selection, &host, options),
            RestoreTarget::Directory(store) => {
                restore_to_directory(walk, selection, *store, options)
            }
            RestoreTarget::Database(store) => restore_to_database(walk, selection, *store, options),
        }?;
        choice.damage.or(damage).map_or(Ok(()), Err)
    });
    Ok(Plan {
        threads: workers,
        story,
    })
}
