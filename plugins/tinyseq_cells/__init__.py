"""Recurrent cells, and layers made of them: RNN, GRU, LSTM, Bidirectional, Deep."""
