/** Libraries of functions: FUNCTION LOAD and what follows from it. Their code is kept as text; FUNCTION DUMP and snapshots hold it. */
import { splitWords } from '../config-words.ts';
import { verifyDumpPayload, writeDumpFooter } from '../persistence/dump-payload.ts';
import { OPCODE_FUNCTION } from '../persistence/rdb-opcodes.ts';
import { RdbReader } from '../persistence/rdb-reader.ts';
import { RdbWriter } from '../persistence/rdb-writer.ts';
import type { LibraryFunction } from './port.ts';
import type { Scripting } from './scripting.ts';

/** A library that takes longer than this to register its functions is refused. */
const LOAD_TIMEOUT_MS = 500;
const FOOTER_BYTES = 10;
/** Bytes that the records of a library and of a function take beside their texts. */
const LIBRARY_RECORD_BYTES = 96;
const FUNCTION_RECORD_BYTES = 64;

export interface Library {
  readonly name: string;
  /** Latin1, one char a byte. */
  readonly code: string;
  readonly functions: readonly LibraryFunction[];
}

/** What a restore does with libraries that are there. */
export type RestorePolicy = 'append' | 'flush' | 'replace';

export class FunctionLibraries {
  private readonly scripting: Scripting;
  readonly libraries = new Map<string, Library>();
  /** By name in lower case: the original finds functions in any case. */
  private readonly functions = new Map<string, LibraryFunction>();

  constructor(scripting: Scripting) {
    this.scripting = scripting;
  }

  get functionCount(): number {
    return this.functions.size;
  }

  /** Bytes put down to libraries, without the interpreter's. */
  get bytes(): number {
    let bytes = 0;
    for (const library of this.libraries.values()) {
      bytes += LIBRARY_RECORD_BYTES + library.name.length + library.code.length;
      for (const one of library.functions) {
        bytes += FUNCTION_RECORD_BYTES + one.name.length + (one.description?.length ?? 0);
      }
    }
    return bytes;
  }

  find(name: string): LibraryFunction | null {
    return this.functions.get(name.toLowerCase()) ?? null;
  }

  /**
   * Compiles and adds a library.
   * @param code latin1
   * @returns the library, or the text of an error: then nothing has changed
   */
  load(code: string, replace: boolean): Library | string {
    const made = this.create(code);
    if (typeof made === 'string') return made;
    const error = this.collision(made, replace ? made.name : null, replace);
    if (error !== null) {
      this.discard(made);
      return error;
    }
    if (replace) this.remove(made.name);
    this.add(made);
    return made;
  }

  /** Checks the head and lets the interpreter register the functions. */
  private create(code: string): Library | string {
    const head = readHead(code);
    if (typeof head === 'string') return head;
    const problem = this.scripting.loadInterpreter();
    if (problem !== '') return problem;
    const { interpreter } = this.scripting;
    // The first line stays as an empty one, so that the line numbers are those of the text.
    const functions = interpreter.loadLibrary(code.slice(head.lineEnd), LOAD_TIMEOUT_MS);
    if (functions === null) return interpreter.problem;
    if (functions.length === 0) return 'No functions registered';
    return { name: head.name, code, functions };
  }

  /** @param besides the library whose functions do not count because it is about to go */
  private collision(made: Library, besides: string | null, replace: boolean): string | null {
    if (!replace && this.libraries.has(made.name)) return `Library '${made.name}' already exists`;
    const going = besides === null ? undefined : this.libraries.get(besides);
    for (const one of made.functions) {
      const present = this.functions.get(one.name.toLowerCase());
      if (present !== undefined && !going?.functions.includes(present)) return `Function ${one.name} already exists`;
    }
    return null;
  }

  private add(library: Library): void {
    this.libraries.set(library.name, library);
    for (const one of library.functions) this.functions.set(one.name.toLowerCase(), one);
  }

  private discard(library: Library): void {
    for (const one of library.functions) this.scripting.interpreter.releaseFunction(one.handle);
  }

  /** @returns whether there was such a library */
  remove(name: string): boolean {
    const library = this.libraries.get(name);
    if (library === undefined) return false;
    this.libraries.delete(name);
    for (const one of library.functions) {
      const key = one.name.toLowerCase();
      if (this.functions.get(key) === one) this.functions.delete(key);
    }
    this.discard(library);
    return true;
  }

  flush(): void {
    this.libraries.clear();
    this.functions.clear();
    if (this.scripting.started) this.scripting.interpreter.flushFunctions();
  }

  /** Compiles all libraries again, in an interpreter that knows none. */
  reload(): void {
    const codes = [...this.libraries.values()].map((library) => library.code);
    this.libraries.clear();
    this.functions.clear();
    for (const code of codes) this.load(code, true);
  }

  /**
   * The payload of FUNCTION DUMP: each library as in a snapshot, then version and checksum.
   * @returns a raw string object that is the caller's
   * @throws ARENA_EXHAUSTED
   */
  dump(): number {
    const core = this.scripting.core;
    const heap = core.heap;
    const w = new RdbWriter(heap, core.config.rdbcompression);
    try {
      for (const library of this.libraries.values()) {
        w.putByte(OPCODE_FUNCTION);
        const at = heap.alloc(library.code.length);
        try {
          heap.putLatin1(library.code, at);
          w.putBytes(at, library.code.length);
        } finally {
          heap.free(at);
        }
      }
      writeDumpFooter(w);
      return w.takeObject();
    } catch (error) {
      w.release();
      throw error;
    }
  }

  /** @returns null, or the text of an error: then nothing has changed */
  restore(offset: number, length: number, policy: RestorePolicy): string | null {
    const { heap, debug } = this.scripting.core;
    if (!verifyDumpPayload(heap, offset, length, debug.skipsChecksums))
      return 'DUMP payload version or checksum are wrong';
    const codes: string[] = [];
    const r = new RdbReader(heap, offset, offset + length - FOOTER_BYTES);
    try {
      while (r.at < r.end) {
        if (r.readByte() !== OPCODE_FUNCTION) return 'given type is not a function';
        if (!r.readString()) return 'Failed loading library data';
        codes.push(heap.latin1(r.stringOffset, r.stringLength));
      }
    } finally {
      r.release();
    }
    return this.join(codes, policy);
  }

  private join(codes: readonly string[], policy: RestorePolicy): string | null {
    const made: Library[] = [];
    const fail = (error: string): string => {
      for (const library of made) this.discard(library);
      return error;
    };
    const names = new Set<string>();
    const functions = new Set<string>();
    for (const code of codes) {
      const library = this.create(code);
      if (typeof library === 'string') return fail(library);
      made.push(library);
      if (names.has(library.name)) return fail(`Library '${library.name}' already exists`);
      names.add(library.name);
      for (const one of library.functions) {
        if (functions.has(one.name.toLowerCase())) return fail(`Function ${one.name} already exists`);
        functions.add(one.name.toLowerCase());
      }
    }
    if (policy !== 'flush') {
      for (const library of made) {
        if (policy === 'append' && this.libraries.has(library.name)) {
          return fail(`Library ${library.name} already exists`);
        }
      }
      for (const present of this.libraries.values()) {
        if (names.has(present.name)) continue;
        for (const one of present.functions) {
          if (functions.has(one.name.toLowerCase())) return fail(`Function ${one.name} already exists`);
        }
      }
    } else {
      for (const name of [...this.libraries.keys()]) this.remove(name);
    }
    for (const library of made) {
      this.remove(library.name);
      this.add(library);
    }
    return null;
  }
}

const NAME_RULE =
  'Library names can only contain letters, numbers, or underscores(_) and must be at least one character long';

/** "#!lua name=…": what a library says of itself in its first line. */
function readHead(code: string): { name: string; lineEnd: number } | string {
  if (!code.startsWith('#!')) return 'Missing library metadata';
  const lineEnd = code.indexOf('\n');
  if (lineEnd < 0) return 'Invalid library metadata';
  const words = splitWords(code.slice(0, lineEnd));
  if (words === null || words.length === 0) return 'Invalid library metadata';
  const engine = words[0]!.slice(2);
  let name: string | null = null;
  for (const word of words.slice(1)) {
    if (word.toLowerCase().startsWith('name=')) {
      if (name !== null) return 'Invalid metadata value, name argument was given multiple times';
      name = word.slice('name='.length);
    } else {
      return `Invalid metadata value given: ${word}`;
    }
  }
  if (name === null) return 'Library name was not given';
  if (!isFunctionName(name)) return NAME_RULE;
  if (engine.toLowerCase() !== 'lua') return `Engine '${engine}' not found`;
  return { name, lineEnd };
}

/** Whether a name of a library or a function is allowed. */
export function isFunctionName(name: string): boolean {
  return /^[A-Za-z0-9_]+$/.test(name);
}
