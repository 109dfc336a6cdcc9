"""Linux transparent capture: firewall rules that lead other accounts' traffic to the gate, and the root process behind them."""
