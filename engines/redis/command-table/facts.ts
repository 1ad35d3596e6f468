/** The shape of the command table's data: what COMMAND INFO and COMMAND DOCS report of a command. */

/** One argument as COMMAND DOCS describes it. */
export interface ArgumentFacts {
  readonly name: string;
  readonly type: string;
  readonly displayText?: string;
  readonly keySpecIndex?: number;
  readonly token?: string;
  readonly summary?: string;
  readonly since?: string;
  readonly deprecatedSince?: string;
  /** Separated by spaces: "optional", "multiple", "multiple-token". */
  readonly flags?: string;
  readonly arguments?: readonly ArgumentFacts[];
}

/**
 * Where keys stand among the arguments: they begin at `index` or behind a `keyword`, and are a `range` or as many as `keynum` says.
 * Without index and keyword only the command itself can tell.
 */
export interface KeySpecFacts {
  /** Separated by spaces, e.g. "RW access update". */
  readonly flags: string;
  /** Argument number of the first key; 0: not told by a number. */
  readonly index: number;
  /** The word before the keys, and where it is looked for first (negative: from the end, backwards). */
  readonly keyword?: readonly [word: string, startFrom: number];
  /** Last key relative to the first (negative: from the end), step, limit (n: only the first 1/n of what is left). */
  readonly range?: readonly [lastKey: number, keyStep: number, limit: number];
  /** Where the number of keys stands, and the first key, relative to the beginning; step. */
  readonly keynum?: readonly [keyNumber: number, firstKey: number, keyStep: number];
  readonly notes?: string;
}

/** Everything that is known of one command or subcommand without running it. */
export interface CommandFacts {
  /** Lower case; a subcommand carries its container: "config|get". */
  readonly name: string;
  /** Number of arguments including the name(s); negative: at least so many. */
  readonly arity: number;
  readonly since: string;
  readonly group: string;
  readonly complexity: string;
  readonly summary: string;
  /** Separated by spaces, in the original's order. */
  readonly flags: string;
  /** ACL categories separated by spaces, in the original's order. */
  readonly categories: string;
  readonly keys: readonly [firstKey: number, lastKey: number, step: number];
  readonly tips?: readonly string[];
  readonly keySpecs?: readonly KeySpecFacts[];
  readonly docFlags?: string;
  readonly deprecatedSince?: string;
  readonly replacedBy?: string;
  readonly history?: readonly (readonly [version: string, change: string])[];
  readonly arguments?: readonly ArgumentFacts[];
  readonly subcommands?: readonly CommandFacts[];
}
