use proptest::prelude::*;

use super::*;

fn lines(bytes: &[u8]) -> Vec<Line> {
    let mut terminal = Terminal::default();
    let mut lines = Vec::new();
    terminal.feed(bytes, |line| lines.push(line));
    lines.extend(terminal.open());
    lines
}

fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in lines(bytes) {
        text.push_str(&format!("{:>2} ", line.number));
        for span in line.spans {
            text.push_str(&format!("[{}]{}", span.class, span.text));
        }
        text.push('\n');
    }
    text
}

#[test]
fn colours_and_weight_become_classes() {
    let text = b"plain \x1b[1;31mred\x1b[0m again\n\x1b[38;5;46mgreen\x1b[38;2;10;20;200mblue\x1b[m\n\x1b[97;41mloud";
    insta::assert_snapshot!(shown(text), @r"
     1 []plain [bold ink1]red[] again
     2 [ink10]green[ink4]blue
     3 [ink15 paper1]loud
    ");
}

#[test]
fn everything_else_is_dropped_and_nothing_is_hidden() {
    let text =
        b"a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\c\x1b[2J\x1b[10;10Hd\x1b(Be\n\
        \x1b]unfinished title\nnext\x1b[999999\nlast \xff \xe2\x80\xaeturned\x08\x00";
    insta::assert_snapshot!(shown(text), @r"
     1 []ablinkcde
     2 
     3 []next
     4 []last � �turned
    ");
}

#[test]
fn a_progress_bar_shows_its_last_state() {
    insta::assert_snapshot!(shown(b"10%\r50%\r100%\r\ndone\x1b[2Kover\r\r\n"), @r"
     1 []100%
     2 []over
    ");
}

#[test]
fn a_long_line_is_cut_and_says_so() {
    let lines = lines(&vec![b'x'; 100_000]);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].spans[0].text.len(), LINE + CUT.len());
}

proptest! {
    #[test]
    fn pieces_make_no_difference(bytes in proptest::collection::vec(
        prop_oneof![Just(0x1b), Just(b'['), Just(b'm'), Just(b'\n'), Just(b'\r'), Just(b';'), b'0'..=b'9', any::<u8>()],
        0..200,
    ), cut in 0usize..200) {
        let cut = cut.min(bytes.len());
        let mut terminal = Terminal::default();
        let mut pieces = Vec::new();
        terminal.feed(&bytes[..cut], |line| pieces.push(line));
        terminal.feed(&bytes[cut..], |line| pieces.push(line));
        pieces.extend(terminal.open());
        prop_assert_eq!(lines(&bytes), pieces);
    }
}
