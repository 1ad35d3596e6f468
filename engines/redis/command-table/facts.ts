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

/** Where keys stand among the arguments: from `index` on, a range. */
export interface KeySpecFacts {
  /** Separated by spaces, e.g. "RW access update". */
  readonly flags: string;
  /** Argument number of the first key; 0: only the command itself can tell, `range` means nothing. */
  readonly index: number;
  /** Last key relative to the first (negative: from the end), step, limit. */
  readonly range: readonly [lastKey: number, keyStep: number, limit: number];
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
