//! Asks about all reachable states of a model: is there a bad one, and can each still come to an end?
//!
//! Bad states are found by `stateright`. Whether an end can always be reached is asked here, since
//! its *eventually* does not see a story that goes in circles.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;

use stateright::{Checker, Model, Property};

/// A model with faults and ends.
pub trait Story: Model {
    /// Does `action` hinder the protocol? A process need not fail in order to come to an end.
    fn is_fault(&self, action: &Self::Action) -> bool;

    /// Is all done that was to be done?
    fn is_over(&self, state: &Self::State) -> bool;
}

/// A shortest way to a state in which the property `name` does not hold, step by step.
pub fn counterexample<M>(model: M, name: &'static str) -> Option<String>
where
    M: Story + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + Display + PartialEq,
{
    let property = model.property(name);
    let checker = Only { model, property }.checker().spawn_bfs().join();
    checker.discovery(name).map(|path| steps(&path.into_actions()))
}

/// A model of which one thing is asked: then the search ends with the first answer, and no later one
/// takes its place.
struct Only<M: Model> {
    model: M,
    property: Property<M>,
}

impl<M: Model> Model for Only<M> {
    type State = M::State;
    type Action = M::Action;

    fn init_states(&self) -> Vec<M::State> {
        self.model.init_states()
    }

    fn actions(&self, state: &M::State, actions: &mut Vec<M::Action>) {
        self.model.actions(state, actions);
    }

    fn next_state(&self, state: &M::State, action: M::Action) -> Option<M::State> {
        self.model.next_state(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let Property { expectation, name, .. } = self.property.clone();
        let condition = |it: &Self, state: &_| (it.property.condition)(&it.model, state);
        vec![Property { expectation, name, condition }]
    }
}

/// A shortest way to a state from which, even without further faults, no end can be reached.
pub fn stuck<M: Story>(model: &M) -> Option<String>
where
    M::State: Clone + Eq + Hash,
    M::Action: Clone + Display,
{
    let reached = Reached::by(model);
    let hopeless = reached.can_end.iter().position(|can_end| !can_end)?;
    Some(steps(&reached.way_to(hopeless)))
}

/// One line for each step.
fn steps<A: Display>(actions: &[A]) -> String {
    actions.iter().map(A::to_string).collect::<Vec<_>>().join("\n")
}

/// All reachable states, in the order of a breadth-first search.
struct Reached<A> {
    /// By what it was reached first; `None`: the story begins with it.
    came_by: Vec<Option<(usize, A)>>,
    can_end: Vec<bool>,
}

impl<A: Clone> Reached<A> {
    fn by<M: Story<Action = A>>(model: &M) -> Self
    where
        M::State: Clone + Eq + Hash,
    {
        let mut states = model.init_states();
        let mut numbers: HashMap<_, _> = states.iter().cloned().zip(0..).collect();
        let mut came_by = vec![None; states.len()];
        let mut comes_from: Vec<Vec<usize>> = vec![Vec::new(); states.len()];
        let mut here = 0;
        while here < states.len() {
            for (action, next) in model.next_steps(&states[here]) {
                let number = *numbers.entry(next).or_insert_with_key(|next| {
                    states.push(next.clone());
                    came_by.push(Some((here, action.clone())));
                    comes_from.push(Vec::new());
                    states.len() - 1
                });
                if !model.is_fault(&action) {
                    comes_from[number].push(here);
                }
            }
            here += 1;
        }
        let ends = (0..states.len()).filter(|state| model.is_over(&states[*state]));
        let can_end = backwards(ends.collect(), &comes_from);
        Self { came_by, can_end }
    }

    fn way_to(&self, state: usize) -> Vec<A> {
        let mut way = Vec::new();
        let mut here = state;
        while let Some((before, action)) = &self.came_by[here] {
            way.push(action.clone());
            here = *before;
        }
        way.reverse();
        way
    }
}

/// Which states lead to one of `ends`.
fn backwards(mut ends: Vec<usize>, comes_from: &[Vec<usize>]) -> Vec<bool> {
    let mut leads = vec![false; comes_from.len()];
    while let Some(here) = ends.pop() {
        if !std::mem::replace(&mut leads[here], true) {
            ends.extend(&comes_from[here]);
        }
    }
    leads
}
