//! What the store knows of facts: those that nobody has acknowledged, and how many there were.

use longhaul_engine::event::NumberedFact;
use longhaul_engine::id::{Sequence, SessionId};
use redb::ReadableDatabase;

use super::{Store, after_number};
use crate::error::{StoreError, Trouble};
use crate::records::FactV1;
use crate::tables::{self, EVENTS, META, decode_row, next_fact};

impl Store {
    /// At most `limit` facts of a session that nobody has acknowledged, in order, from the one
    /// after `after`; zero is before all of them.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn facts(
        &self,
        session: &SessionId,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<NumberedFact>, StoreError> {
        let read = || -> Result<_, Trouble> {
            let events = self.database().begin_read()?.open_table(EVENTS)?;
            let mut facts = Vec::new();
            for row in events
                .range(after_number(session, Some(after.get())))?
                .take(limit)
            {
                let (key, row) = row?;
                let number = key.value().1;
                let fact: FactV1 =
                    decode_row(row.value(), EVENTS, || format!("{session}/{number}"))?;
                let sequence = Sequence::new(number);
                facts.push(NumberedFact {
                    sequence,
                    fact: fact.into(),
                });
            }
            Ok(facts)
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }

    /// The number of the last fact of a session, acknowledged or not; zero before the first.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn last_fact(&self, session: &SessionId) -> Result<Sequence, StoreError> {
        let read = || -> Result<_, Trouble> {
            let meta = self.database().begin_read()?.open_table(META)?;
            let next = tables::counter(&meta, &next_fact(session))?;
            Ok(Sequence::new(next.map_or(0, |next| next - 1)))
        };
        read().map_err(|trouble| trouble.at(&self.path))
    }
}
