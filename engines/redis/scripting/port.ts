/** What the core asks of a Lua interpreter. Types only: the interpreter (engines/lua) is handed in by the composition. */
import type { Client } from '../client.ts';
import type { Scripting } from './scripting.ts';

/** One function that a library registers. */
export interface LibraryFunction {
  readonly name: string;
  /** Null: none was given. */
  readonly description: string | null;
  /** Bits SCRIPT_FLAG_*. */
  readonly flags: number;
  /** The interpreter's name for the callback. */
  readonly handle: number;
}

export interface ScriptInterpreter {
  /** "Lua 5.1 …", for logs. */
  readonly name: string;
  /**
   * Compiles the script that the arena bytes hold.
   * @returns a handle above 0, or 0 with the reason in `problem`
   */
  compileScript(offset: number, length: number): number;
  /** Why the last compileScript or loadLibrary failed. */
  readonly problem: string;
  /** Forgets all scripts and starts with a fresh state. */
  flushScripts(): void;
  /** Forgets all functions and starts with a fresh state. */
  flushFunctions(): void;
  /** Lets the collector have the callback. */
  releaseFunction(handle: number): void;
  /**
   * Runs a script or (`asFunction`) a library's function, and replies to the client. Keys and arguments are those of the client's
   * request: `keys` of them from argument 3 on, the rest after.
   */
  run(c: Client, handle: number, keys: number, asFunction: boolean): void;
  /**
   * Runs the code of a library (without its first line's content) so that it registers its functions.
   * @returns them, or null with the reason in `problem`
   */
  loadLibrary(code: string, timeoutMs: number): LibraryFunction[] | null;
  /** Memory of the states of EVAL and of FUNCTION in bytes. */
  readonly evalBytes: number;
  readonly functionBytes: number;
}

/** Makes an interpreter for one server. */
export type InterpreterFactory = (scripting: Scripting) => ScriptInterpreter;
