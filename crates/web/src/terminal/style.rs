//! What SGR sequences make of a text's look: class names that the style sheet colours.

/// A text's look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    bold: bool,
    dim: bool,
    italic: bool,
    underlined: bool,
    /// 0–7 and, bright, 8–15.
    ink: Option<u8>,
    paper: Option<u8>,
}

impl Style {
    /// Takes in the parameters of one SGR sequence. Colours beyond the sixteen named ones are
    /// brought down to these, so that the style sheet decides what can be read.
    pub(super) fn apply(&mut self, sequence: &[u8]) {
        let text = String::from_utf8_lossy(sequence);
        let mut codes = text
            .split([';', ':'])
            .map(|code| if code.is_empty() { Some(0) } else { code.parse().ok() });
        while let Some(code) = codes.next() {
            match code {
                // Private or malformed: nothing of it is meant for us.
                None => return,
                Some(0) => *self = Self::default(),
                Some(1) => self.bold = true,
                Some(2) => self.dim = true,
                Some(3) => self.italic = true,
                Some(4) => self.underlined = true,
                Some(22) => (self.bold, self.dim) = (false, false),
                Some(23) => self.italic = false,
                Some(24) => self.underlined = false,
                Some(code @ 30..=37) => self.ink = small(code - 30),
                Some(38) => self.ink = colour(&mut codes).or(self.ink),
                Some(39) => self.ink = None,
                Some(code @ 40..=47) => self.paper = small(code - 40),
                Some(48) => self.paper = colour(&mut codes).or(self.paper),
                Some(49) => self.paper = None,
                Some(code @ 90..=97) => self.ink = small(code - 82),
                Some(code @ 100..=107) => self.paper = small(code - 92),
                Some(_) => {}
            }
        }
    }

    /// Class names, separated by blanks.
    pub(super) fn class(self) -> String {
        let flags = [
            (self.bold, "bold"),
            (self.dim, "dim"),
            (self.italic, "italic"),
            (self.underlined, "line"),
        ];
        let mut names: Vec<String> =
            flags.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()).collect();
        names.extend(self.ink.map(|n| format!("ink{n}")));
        names.extend(self.paper.map(|n| format!("paper{n}")));
        names.join(" ")
    }
}

fn small(code: u16) -> Option<u8> {
    u8::try_from(code).ok()
}

/// The rest of `38;5;n` or `38;2;r;g;b`.
fn colour(codes: &mut impl Iterator<Item = Option<u16>>) -> Option<u8> {
    let mut next = || codes.next().flatten();
    match next()? {
        5 => match next()? {
            named @ 0..=15 => small(named),
            cube @ 16..=231 => {
                let cube = cube - 16;
                Some(nearest(cube / 36 * 51, cube / 6 % 6 * 51, cube % 6 * 51))
            }
            grey => {
                let level = grey.saturating_sub(232).min(23) * 10 + 8;
                Some(nearest(level, level, level))
            }
        },
        2 => {
            let (red, green, blue) = (next()?, next()?, next()?);
            Some(nearest(red, green, blue))
        }
        _ => None,
    }
}

/// The named colour for a red, green and blue of 0–255.
fn nearest(red: u16, green: u16, blue: u16) -> u8 {
    let strongest = red.max(green).max(blue);
    if strongest < 64 {
        return 0;
    }
    let on = |part: u16| u8::from(u32::from(part) * 2 > u32::from(strongest));
    let hue = on(red) | on(green) << 1 | on(blue) << 2;
    match (hue, strongest) {
        (7, 64..=159) => 8,
        (hue, 224..) => hue + 8,
        (hue, _) => hue,
    }
}
