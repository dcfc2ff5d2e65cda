//! Pages, live logs and the projector behind them.
