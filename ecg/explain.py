"""Lead weights, the cross-lead matrix and temporal activation, mapped back onto the recording."""
