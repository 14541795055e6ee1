//! Reads the members behind the licences, and checks them.

use super::backup_file::Source;
use crate::archive::catalog_in_step::{Agreement, Expected};
use crate::archive::lines::{parse_json, parse_sum};
use crate::archive::reader::Reader;
use crate::archive::records::RestrictedLine;
use crate::archive::{Fault, RESTRICTED, SUMS};
use crate::license::name;

/// The lists of a backup, walked beside its licences.
pub struct Catalog<'b> {
    reader: &'b Reader<Source>,
    agreement: Agreement<'b, Source>,
    /// The names so far, in a set once one breaks their order: the names of a repeated backup do.
    sorted: name::Sorted,
    set: Option<name::Set>,
    content_bytes: u64,
}

impl<'b> Catalog<'b> {
    pub fn new(reader: &'b Reader<Source>) -> Result<Catalog<'b>, Fault> {
        Ok(Catalog {
            reader,
            agreement: Agreement::new(reader)?,
            sorted: name::Sorted::default(),
            set: None,
            content_bytes: 0,
        })
    }

    /// Gives the licences of the next frame.
    pub fn of_frame(&mut self, frame: usize) -> Result<Vec<Expected>, Fault> {
        let before = self.agreement.told();
        let licenses = self.agreement.of_frame(frame)?;
        for (number, license) in (before..).zip(&licenses) {
            self.take(number, &license.name)?;
            self.content_bytes += license.size;
        }
        Ok(licenses)
    }

    /// Takes in the name of the licence `number`, if it clashes with none before it.
    fn take(&mut self, number: u32, name: &str) -> Result<(), Fault> {
        let clashes = |clash| Fault::Damaged(format!("a name clashes: {name}: {clash}"));
        if self.set.is_none() {
            if self.sorted.push(name).map_err(clashes)? {
                return Ok(());
            }
            self.set = Some(self.names_before(number)?);
        }
        match &mut self.set {
            Some(set) => set.insert(name)?.map_err(clashes),
            None => Ok(()),
        }
    }

    /// Gives the names of the licences before the licence `number`.
    fn names_before(&self, number: u32) -> Result<name::Set, Fault> {
        let mut names = name::Set::default();
        let mut sums = self.reader.framed_lines(SUMS)?;
        for _ in 0..number {
            let Some(sum) = sums.next()? else { break };
            // These are known not to clash.
            let _ = names.insert(parse_sum(sum)?.1)?;
        }
        Ok(names)
    }

    /// Checks that the lists of licences are whole.
    pub fn finish_lists(self) -> Result<(), Fault> {
        self.agreement.finish()
    }

    /// Checks that the lists are whole, and that all other members are what the trailer says.
    pub fn finish(self) -> Result<(), Fault> {
        self.agreement.finish()?;
        if self.content_bytes != self.reader.trailer().content_bytes {
            return Err(Fault::damaged("its licences are not as large as it says"));
        }
        self.reader.check_unknown()?;
        check_restricted(self.reader)
    }
}

fn check_restricted(reader: &Reader<Source>) -> Result<(), Fault> {
    let mut lines = reader.lines(RESTRICTED)?;
    let mut count = 0;
    while let Some(line) = lines.next()? {
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
