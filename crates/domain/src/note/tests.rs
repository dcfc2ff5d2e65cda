//! What the note says, and what it must never do.

use proptest::prelude::*;

use super::*;
use crate::change::Change;
use crate::event::resource::{
    NoteCompared, NoteConfirmed, NoteIntended, NoteRefused, RefusalClass,
};
use crate::id::ChangeKey;
use crate::statuses::{Runs, Statuses};

#[test]
fn foreign_text_starts_nothing() {
    insta::assert_snapshot!(fenced("text", "```\n/close\n  /merge\nplain"), @"
    ````text
    ```
    \u{200b}/close
    \u{200b}  /merge
    plain
    ````
    ");
    let safe = inline("/close @all <b>#1</b> [x](y) `z|`", 80).replace('\u{200b}', "·");
    insta::assert_snapshot!(safe, @r"·/close @·all &lt;b&gt;#·1&lt;/b&gt; \[x\]\(y\) \`z\|\`");
    insta::assert_snapshot!(inline("https://evil", 80).replace('\u{200b}', "·"), @"https:·//evil");
}

#[test]
fn a_note_is_made_once_followed_and_left_alone_when_people_delete_it_twice() {
    let mut note = Note::default();
    assert_eq!(note.next(None), Next::Rest);
    assert_eq!(note.next(Some("a")), Next::Create);
    note.apply(&NoteIntended { note: None, digest: "a".into(), epoch: 1 }.into());
    assert_eq!(note.next(Some("b")), Next::Resolve(InDoubt { note: None, digest: "a".into() }));
    note.apply(&NoteConfirmed { note: 5, digest: "a".into(), read: false }.into());
    assert_eq!(note.next(Some("a")), Next::Rest);
    assert_eq!(note.next(Some("b")), Next::Update { note: 5 });
    for expected in [Next::Create, Next::Rest] {
        note.apply(&NoteRefused { class: None, gone: true, message: String::new() }.into());
        assert_eq!(note.next(Some("b")), expected);
    }
}

#[test]
fn an_edit_that_landed_late_is_seen_and_made_good() {
    let mut note = Note::default();
    let confirmed = |digest: &str, read| NoteConfirmed { note: 5, digest: digest.into(), read };
    note.apply(&confirmed("a", false).into());
    note.apply(&NoteIntended { note: Some(5), digest: "b".into(), epoch: 1 }.into());
    note.apply(&confirmed("a", true).into());
    assert_eq!(note.next(Some("c")), Next::Update { note: 5 });
    note.apply(&confirmed("c", false).into());
    assert_eq!(note.next(Some("c")), Next::CompareLater { note: 5 });
    note.apply(&NoteCompared { digest: Some("b".into()) }.into());
    assert_eq!(note.next(Some("c")), Next::Update { note: 5 });
    note.apply(&confirmed("c", false).into());
    assert_eq!(note.next(Some("c")), Next::Rest);
    note.apply(&NoteCompared { digest: None }.into());
    assert_eq!(note.next(Some("c")), Next::Rest, "who deleted it is seen at the next edit");
}

#[test]
fn a_creation_that_was_given_up_may_still_come() {
    let intended = |note| NoteIntended { note, digest: "a".into(), epoch: 1 }.into();
    let never_came: Event = NoteRefused { class: None, gone: false, message: String::new() }.into();
    assert!(!Note::of(&[intended(Some(5)), never_came.clone()]).given_up);
    let confirmed = NoteConfirmed { note: 6, digest: "a".into(), read: false }.into();
    assert!(Note::of(&[intended(None), never_came, confirmed]).given_up);
}

#[test]
fn only_the_text_that_was_refused_is_not_sent_again() {
    let refused = |class| NoteRefused { class, gone: false, message: String::new() };
    let mut note = Note::default();
    note.apply(&NoteIntended { note: None, digest: "a".into(), epoch: 1 }.into());
    note.apply(&refused(Some(RefusalClass::Invalid)).into());
    assert_eq!(note.next(Some("a")), Next::Rest);
    assert_eq!(note.next(Some("b")), Next::Create);
    // What was merely not done says nothing about any text.
    note.apply(&NoteIntended { note: None, digest: "b".into(), epoch: 2 }.into());
    note.apply(&refused(None).into());
    assert_eq!(note.next(Some("a")), Next::Rest);
    assert_eq!(note.next(Some("b")), Next::Create);
    note.apply(&NoteConfirmed { note: 5, digest: "b".into(), read: false }.into());
    assert_eq!(note.next(Some("a")), Next::Update { note: 5 });
    note.apply(&NoteIntended { note: Some(5), digest: "a".into(), epoch: 3 }.into());
    note.apply(&refused(Some(RefusalClass::Forbidden)).into());
    assert_eq!(note.next(Some("a")), Next::Rest);
    assert_eq!(note.next(Some("b")), Next::Rest, "it stands there already");
    assert_eq!(note.next(Some("c")), Next::Update { note: 5 });
}

#[test]
fn without_a_plan_there_is_nothing_to_say() {
    let key: ChangeKey = "mr-1.42-7".parse().unwrap();
    let links = Links { base: "http://bot" };
    let shown = Shown { runs: &Runs::new(), statuses: &Statuses::default() };
    assert_eq!(body(&key, &Change::default(), shown, true, links), None);
}

proptest! {
    #[test]
    fn no_line_of_foreign_text_is_a_quick_action_or_ends_its_fence(text in "(?s)[`/a\n ~]{0,80}") {
        let block = fenced("text", &text);
        let lines: Vec<&str> = block.lines().collect();
        let fence = lines[lines.len() - 1];
        let inside = &lines[1..lines.len() - 1];
        let all_inside = inside.iter().all(|line| !line.trim_start().starts_with(fence));
        prop_assert!(all_inside);
        prop_assert!(lines.iter().all(|line| !line.trim_start().starts_with('/')));
    }

    #[test]
    fn inline_text_is_one_line_and_names_nobody(text in "(?s).{0,60}") {
        let safe = inline(&text, 60);
        prop_assert!(!safe.contains('\n'));
        let bare = regex_free_mention(&safe);
        prop_assert!(!bare, "{safe}");
    }
}

/// Whether a reference sign is directly followed by a word character.
fn regex_free_mention(text: &str) -> bool {
    let signs = ['@', '#', '!', '~', '%', '&', '$'];
    let html = ["&lt;", "&gt;"];
    let plain = html.iter().fold(text.to_owned(), |t, h| t.replace(h, ""));
    plain.chars().zip(plain.chars().skip(1)).any(|(a, b)| signs.contains(&a) && b.is_alphanumeric())
}
