//! What the members behind the licences say, and whether they are right.

use super::reading::Stored;
use crate::archive::agreement::{Agreement, Expected};
use crate::archive::lines::{RestrictedLine, parse_json};
use crate::archive::reader::Reader;
use crate::archive::{Fault, RESTRICTED};
use crate::license::name;
use crate::sys::files::File;

/// The lists of a backup, walked beside its licences.
pub struct Lists<'b> {
    reader: &'b Reader<Stored<File>>,
    agreement: Agreement<'b, Stored<File>>,
    names: name::Set,
    content_bytes: u64,
}

impl<'b> Lists<'b> {
    pub fn new(reader: &'b Reader<Stored<File>>) -> Result<Lists<'b>, Fault> {
        Ok(Lists {
            reader,
            agreement: Agreement::new(reader)?,
            names: name::Set::default(),
            content_bytes: 0,
        })
    }

    /// The next licences, as far as they begin before `end` in the decompressed stream.
    pub fn before(&mut self, end: u64) -> Result<Vec<Expected>, Fault> {
        let mut licenses = Vec::new();
        while self.agreement.has_next_before(end) {
            let license = self.agreement.next()?;
            self.names.insert(&license.name)?.map_err(|clash| {
                Fault::Damaged(format!("a name clashes: {}: {clash}", license.name))
            })?;
            self.content_bytes += license.size;
            licenses.try_reserve(1)?;
            licenses.push(license);
        }
        Ok(licenses)
    }

    /// Whether the lists of licences are whole.
    pub fn finish_lists(self) -> Result<(), Fault> {
        self.agreement.finish()
    }

    /// Whether the lists are whole, and all other members are what the trailer says.
    pub fn finish(self) -> Result<(), Fault> {
        self.agreement.finish()?;
        if self.content_bytes != self.reader.trailer().content_bytes {
            return Err(Fault::damaged("its licences are not as large as it says"));
        }
        self.reader.check_unknown()?;
        check_restricted(self.reader)
    }
}

fn check_restricted(reader: &Reader<Stored<File>>) -> Result<(), Fault> {
    let mut lines = reader.lines(RESTRICTED)?;
    let mut count = 0;
    while let Some((_, line)) = lines.next()? {
        parse_json::<RestrictedLine>(line)?;
        count += 1;
    }
    lines.finish()?;
    match reader.trailer().restricted == count {
        true => Ok(()),
        false => Err(Fault::damaged(
            "its list of restricted licences is not as long as it says",
        )),
    }
}
