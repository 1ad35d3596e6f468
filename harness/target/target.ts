/**
 * What is measured: an embedded engine, a real server started by the harness, or a server elsewhere. Whatever it is,
 * the runner sees one interface. A `Target` is asked once whether it can take part; each measurement then gets a
 * `RunningTarget` of its own.
 */
import type { EngineName, Scenario, TargetSpec } from '../../scenarios/spec.ts';
import type { Endpoint } from '../driver/load-plan.ts';
import type { MemoryLedger } from '../result.ts';

/** What a server needs to know about the cell that it is started for. */
export interface CellSettings {
  scenario: Scenario;
  /** Memory limit in bytes, `limitShare` already resolved against the data set; 0: none. */
  limitBytes: number;
  /** Payload (keys + values) of the whole data set in bytes, for servers that must be sized to hold it. */
  datasetBytes: number;
  /** Keys of the whole data set, counters among them. */
  entries: number;
}

/** What a server says about itself before the run. */
export interface TargetFacts {
  version: string | null;
  /** CONFIG GET * or `stats settings`; secrets are blanked. */
  configuration: Record<string, string>;
  /** Keys it holds; null if it does not tell. */
  keysBefore: number | null;
}

/** A started server that keeps files: what it takes to watch them, and to crash it. */
export interface PersistentServer {
  /** Where its files lie. */
  readonly folder: string;
  /** INFO of one section as a flat table. */
  info(section: string): Promise<Record<string, string>>;
  call(...words: string[]): Promise<unknown>;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
  /**
   * Starts it again with the same flags and files, at the same address.
   * @returns seconds until it answered
   */
  restart(): Promise<number>;
}

/** One server that is up. */
export interface RunningTarget {
  readonly endpoint: Endpoint;
  /** Process id of a local server; null for a remote. */
  readonly pid: number | null;
  /** How it was started, one entry a word; null for a remote. */
  readonly commandLine: string[] | null;
  /** Address without credentials. */
  readonly address: string;
  /** What a reader must know about how the settings were applied (rounding of limits, …). */
  readonly notes: string[];
  facts(): Promise<TargetFacts>;
  /** Where its bytes are now. `payload` stays null: only the runner knows the data set. */
  memory(): Promise<MemoryLedger>;
  /** Sets the server's counters to zero where that is ours to do (not on a remote). */
  resetStats(): Promise<void>;
  /**
   * Removes what the scenario stored. A server started by the harness is emptied; a remote only loses the scenario's own
   * keys by name, or everything with `allowFlush`. @returns keys removed, or null where all was flushed
   */
  flush(): Promise<number | null>;
  /** Its files; null where the scenario asks for none, or the server is not ours. Absent: none. */
  readonly persistent?: PersistentServer | null;
  /** null while it runs; otherwise a sentence that says how it ended. */
  died(): string | null;
  /** Ends a local server (waits for it) or closes the connection to a remote. Safe to call twice. */
  stop(): Promise<void>;
}

export interface Target {
  readonly spec: TargetSpec;
  /** null if it can be started; otherwise why not, in a sentence. */
  readonly missing: string | null;
  /** @throws TargetError when the server cannot be started or reached */
  start(settings: CellSettings): Promise<RunningTarget>;
}

/** A server that cannot be started, reached or asked. The message is one line for the user. */
export class TargetError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TargetError';
  }
}

/** The questions that both kinds of server answer in their own protocols. */
export interface Admin {
  facts(): Promise<TargetFacts>;
  memory(): Promise<MemoryLedger>;
  resetStats(): Promise<void>;
  flushAll(): Promise<void>;
  /** Deletes keys by name; keys that are not there are no error. @returns how many were there */
  deleteKeys(keys: readonly string[]): Promise<number>;
  /** How many of these keys exist. */
  countExisting(keys: readonly string[]): Promise<number>;
  close(): void;
}

/** Protocol that the load driver speaks to an engine in a scenario. */
export function protocolOf(engine: EngineName, scenario: Scenario): Endpoint['protocol'] {
  if (engine === 'redis') return 'redis';
  // memjs speaks nothing but the binary protocol.
  return scenario.driver === 'memjs' || scenario.memcachedProtocol === 'binary'
    ? 'memcached-binary'
    : 'memcached-ascii';
}

/** An address as reports show it, without credentials. */
export function describeAddress(endpoint: Endpoint): string {
  const scheme = endpoint.protocol === 'redis' ? 'redis' : 'memcached';
  const { address } = endpoint;
  if (address.kind === 'unix') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const database = endpoint.protocol === 'redis' && endpoint.database !== 0 ? `/${endpoint.database}` : '';
  return `${scheme}${address.tls && scheme === 'redis' ? 's' : ''}://${host}:${address.port}${database}`;
}
