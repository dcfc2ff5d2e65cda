//! A statement that is put together from the parts that it needs. Each table that a statement might
//! write to takes time to open, and most of all where the server has done something else meanwhile.

use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Arguments, AssertSqlSafe, Encode, Postgres, Type};

/// Few texts come of it, so each stays prepared.
#[derive(Default)]
pub(super) struct Statement {
    text: String,
    arguments: PgArguments,
    failed: Option<BoxDynError>,
}

impl Statement {
    /// Adds a text. Its `$1` is the value that is bound next.
    pub(super) fn part(&mut self, text: &str) -> &mut Self {
        let bound = self.arguments.len();
        let mut pieces = text.split('$');
        self.text.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = piece.split_at(digits);
            let number = bound + number.parse::<usize>().unwrap_or_default();
            self.text.extend(["$", &number.to_string(), rest]);
        }
        self
    }

    pub(super) fn bind<'t, T: Encode<'t, Postgres> + Type<Postgres>>(
        &mut self,
        value: T,
    ) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(error);
        }
        self
    }

    /// Fails if a value could not be bound.
    pub(super) fn query<'q>(self) -> Result<Query<'q, Postgres, PgArguments>, sqlx::Error> {
        match self.failed {
            Some(error) => Err(sqlx::Error::Encode(error)),
            // The parts are constants, and what they are about is bound.
            None => Ok(sqlx::query_with(AssertSqlSafe(self.text), self.arguments)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_counts_its_own_values() {
        let mut statement = Statement::default();
        statement.part("a = $1 AND b = $2").bind(1_i64).bind(2_i64);
        statement.part(", c = $2::bigint OR $1").bind(3_i64).bind(4_i64);
        for number in 5..=9 {
            statement.part(", $1").bind(number);
        }
        statement.part(" AND $10 = $1");
        let text = "a = $1 AND b = $2, c = $4::bigint OR $3, $5, $6, $7, $8, $9 AND $19 = $10";
        assert_eq!(statement.text, text);
    }
}
