//! What the disk can do: the floor under every durable write.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Instant;

use anyhow::Result;

use super::{Plan, spread};
use crate::report::Row;

const PAGE: [u8; 4096] = [7; 4096];
const WRITES: usize = 200;

pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let mut file = tempfile::tempfile()?;
    let mut row = |name: &str, overwrite| {
        let rounds = (0..plan.rounds).map(|_| per_second(&mut file, overwrite));
        let rounds = rounds.collect::<Result<Vec<f64>>>()?;
        anyhow::Ok(Row::told(name, "1/s", spread(rounds)?))
    };
    let append = row("fdatasync after appending 4 kB", false)?;
    Ok(vec![append, row("fdatasync after overwriting 4 kB", true)?])
}

fn per_second(file: &mut File, overwrite: bool) -> Result<f64> {
    file.seek(SeekFrom::End(0))?;
    let begun = Instant::now();
    for _ in 0..WRITES {
        if overwrite {
            file.rewind()?;
        }
        file.write_all(&PAGE)?;
        file.sync_data()?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let writes = WRITES as f64;
    Ok(writes / begun.elapsed().as_secs_f64())
}
