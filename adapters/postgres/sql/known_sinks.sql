SELECT k.name FROM fairlead.sinks AS k WHERE k.name = ANY (%(names)s) AND NOT k.removed;
