/**
 * Lua 5.1 as WebAssembly, driven through its C API: the binary comes from the package wasmoon-lua5.1, the JavaScript around it
 * does not. That package's own layer turns every value into a JavaScript object, which costs some 10 µs for a call that takes 0.2 here
 * (engines/README.md has the table).
 *
 * C errors: Lua's longjmp arrives as an import that throws; `invoke_vii` is where a protected call catches it. A host function may
 * therefore raise a Lua error by `x.lua_error(L)`, which never returns.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** A lua_State: an address in the machine's memory. */
export type LuaState = number;
/** What Lua calls: takes the state, returns the number of results on its stack. */
export type LuaFunction = (L: LuaState) => number;

export const LUA_REGISTRYINDEX = -10000;
export const LUA_GLOBALSINDEX = -10002;
export const LUA_MULTRET = -1;
export const LUA_TNONE = -1;
export const LUA_TNIL = 0;
export const LUA_TBOOLEAN = 1;
export const LUA_TLIGHTUSERDATA = 2;
export const LUA_TNUMBER = 3;
export const LUA_TSTRING = 4;
export const LUA_TTABLE = 5;
export const LUA_MASKLINE = 4;
export const LUA_MASKCOUNT = 8;
export const LUA_GCCOUNT = 3;
export const LUA_GCCOUNTB = 4;
export const LUA_GCSTEP = 5;

/** The index of a C function's upvalue. */
export function upvalueIndex(i: number): number {
  return LUA_GLOBALSINDEX - i;
}

/** The part of the C API that is used; text is passed as addresses of NUL-terminated bytes. */
export interface LuaApi {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly __indirect_function_table: FunctionTable;
  __wasm_call_ctors(): void;
  emscripten_stack_init(): void;
  stackSave(): number;
  stackRestore(pointer: number): void;
  setThrew(threw: number, value: number): void;
  malloc(bytes: number): number;
  realloc(pointer: number, bytes: number): number;
  free(pointer: number): void;
  luaL_newstate(): LuaState;
  lua_close(L: LuaState): void;
  luaopen_base(L: LuaState): number;
  luaopen_table(L: LuaState): number;
  luaopen_string(L: LuaState): number;
  luaopen_math(L: LuaState): number;
  luaL_loadbuffer(L: LuaState, bytes: number, length: number, name: number): number;
  luaL_ref(L: LuaState, table: number): number;
  luaL_unref(L: LuaState, table: number, ref: number): void;
  luaL_where(L: LuaState, level: number): void;
  luaL_checktype(L: LuaState, index: number, type: number): void;
  luaL_checkany(L: LuaState, index: number): void;
  luaL_checknumber(L: LuaState, index: number): number;
  luaL_optnumber(L: LuaState, index: number, otherwise: number): number;
  luaL_checkinteger(L: LuaState, index: number): number;
  luaL_optinteger(L: LuaState, index: number, otherwise: number): number;
  luaL_checklstring(L: LuaState, index: number, length: number): number;
  luaL_argerror(L: LuaState, index: number, text: number): number;
  lua_checkstack(L: LuaState, slots: number): number;
  lua_gettop(L: LuaState): number;
  lua_settop(L: LuaState, index: number): void;
  lua_pushvalue(L: LuaState, index: number): void;
  lua_remove(L: LuaState, index: number): void;
  lua_insert(L: LuaState, index: number): void;
  lua_replace(L: LuaState, index: number): void;
  lua_type(L: LuaState, index: number): number;
  lua_typename(L: LuaState, type: number): number;
  lua_isstring(L: LuaState, index: number): number;
  lua_isnumber(L: LuaState, index: number): number;
  lua_toboolean(L: LuaState, index: number): number;
  lua_tonumber(L: LuaState, index: number): number;
  lua_tolstring(L: LuaState, index: number, length: number): number;
  lua_objlen(L: LuaState, index: number): number;
  lua_topointer(L: LuaState, index: number): number;
  lua_tocfunction(L: LuaState, index: number): number;
  lua_touserdata(L: LuaState, index: number): number;
  lua_pushnil(L: LuaState): void;
  lua_pushnumber(L: LuaState, value: number): void;
  lua_pushboolean(L: LuaState, value: number): void;
  lua_pushlstring(L: LuaState, bytes: number, length: number): void;
  lua_pushstring(L: LuaState, text: number): void;
  lua_pushlightuserdata(L: LuaState, pointer: number): void;
  lua_pushcclosure(L: LuaState, fn: number, upvalues: number): void;
  lua_createtable(L: LuaState, array: number, hash: number): void;
  lua_getfield(L: LuaState, index: number, key: number): void;
  lua_setfield(L: LuaState, index: number, key: number): void;
  lua_rawget(L: LuaState, index: number): void;
  lua_rawset(L: LuaState, index: number): void;
  lua_rawgeti(L: LuaState, index: number, n: number): void;
  lua_rawseti(L: LuaState, index: number, n: number): void;
  lua_gettable(L: LuaState, index: number): void;
  lua_settable(L: LuaState, index: number): void;
  lua_next(L: LuaState, index: number): number;
  lua_getmetatable(L: LuaState, index: number): number;
  lua_setmetatable(L: LuaState, index: number): number;
  lua_setfenv(L: LuaState, index: number): number;
  lua_concat(L: LuaState, count: number): void;
  lua_error(L: LuaState): number;
  lua_call(L: LuaState, args: number, results: number): void;
  lua_pcall(L: LuaState, args: number, results: number, handler: number): number;
  lua_sethook(L: LuaState, fn: number, mask: number, count: number): number;
  lua_getstack(L: LuaState, level: number, record: number): number;
  lua_getinfo(L: LuaState, what: number, record: number): number;
  lua_getupvalue(L: LuaState, index: number, n: number): number;
  lua_gc(L: LuaState, what: number, data: number): number;
}

interface FunctionTable {
  readonly length: number;
  get(index: number): (...args: number[]) => number;
  set(index: number, fn: unknown): void;
  grow(count: number): number;
}

/** What of WebAssembly is used; Node's types lack it. */
interface Wasm {
  Module: { new (bytes: Uint8Array): object; imports(module: object): { module: string; name: string }[] };
  Instance: new (
    module: object,
    imports: Record<string, Record<string, unknown>>,
  ) => { exports: Record<string, unknown> };
}
const wasm = (globalThis as unknown as { WebAssembly: Wasm }).WebAssembly;

/** The machine's memory may not grow beyond this; Lua then raises "not enough memory". */
const MAX_MEMORY_BYTES = 1 << 30;
const PAGE_BYTES = 65_536;
/** The memory grows by at least so much. */
const GROW_PAGES = 64;
const FIRST_SCRATCH_BYTES = 65_536;
/** Copies shorter than this go byte by byte. */
const SHORT_COPY_BYTES = 48;
/** What the binary's longjmp throws. */
const LONGJMP = Number.POSITIVE_INFINITY;
const I32 = 0x7f;

let compiled: object | null = null;

/** Compiles the binary once a process (5 ms); every machine is an instance of it. */
function compiledBinary(): object {
  if (compiled === null) {
    const path = createRequire(import.meta.url).resolve('wasmoon-lua5.1/dist/liblua5.1.wasm');
    compiled = new wasm.Module(readFileSync(path));
  }
  return compiled;
}

/** A JavaScript function with the signature of a C function, so that it fits into the function table. */
function asTableEntry(fn: unknown, params: number, results: number): unknown {
  const section = (id: number, bytes: number[]): number[] => [id, bytes.length, ...bytes];
  const type = [0x60, params, ...Array<number>(params).fill(I32), results, ...Array<number>(results).fill(I32)];
  // A module that exports what it imports: "e"."f" under the name "f".
  const bytes = Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, ...type]),
    ...section(2, [1, 1, 0x65, 1, 0x66, 0, 0]),
    ...section(7, [1, 1, 0x66, 0, 0]),
  ]);
  return new wasm.Instance(new wasm.Module(bytes), { e: { f: fn } }).exports.f;
}

export class LuaMachine {
  readonly x: LuaApi;
  /** Use `bytes()`: a grown memory detaches these. */
  private u8: Uint8Array;
  private data: DataView;
  /** A block for text on its way in; see `scratch`. */
  private scratchAt: number;
  private scratchRoom = FIRST_SCRATCH_BYTES;
  /** Where lua_tolstring stores a length. */
  readonly lengthAt: number;
  private readonly texts = new Map<string, number>();
  private passing = 0;
  /** Set by `toBytes`: how long the string is. */
  length = 0;

  constructor() {
    const module = compiledBinary();
    let x: LuaApi | null = null;
    const imports: Record<string, Record<string, unknown>> = { env: {}, wasi_snapshot_preview1: {} };
    // Files, clocks and processes do not exist in there: no library that uses them is opened.
    for (const { module: from, name } of wasm.Module.imports(module)) imports[from]![name] = () => -1;
    const env = imports.env!;
    env.invoke_vii = (index: number, a: number, b: number): void => {
      const stack = x!.stackSave();
      try {
        x!.__indirect_function_table.get(index)(a, b);
      } catch (error) {
        x!.stackRestore(stack);
        if (error !== LONGJMP) throw error;
        x!.setThrew(1, 0);
      }
    };
    env._emscripten_throw_longjmp = (): never => {
      throw LONGJMP;
    };
    env.emscripten_memcpy_js = (to: number, from: number, length: number): void => {
      this.bytes().copyWithin(to, from, from + length);
    };
    env.emscripten_resize_heap = (bytes: number): number => this.grow(bytes >>> 0);
    imports.wasi_snapshot_preview1!.environ_sizes_get = (count: number, size: number): number => {
      const view = new DataView(x!.memory.buffer);
      view.setInt32(count, 0, true);
      view.setInt32(size, 0, true);
      return 0;
    };
    imports.wasi_snapshot_preview1!.environ_get = () => 0;
    x = new wasm.Instance(module, imports).exports as unknown as LuaApi;
    this.x = x;
    this.u8 = new Uint8Array(x.memory.buffer);
    this.data = new DataView(x.memory.buffer);
    x.emscripten_stack_init();
    x.__wasm_call_ctors();
    this.scratchAt = x.malloc(this.scratchRoom);
    this.lengthAt = x.malloc(8);
  }

  private grow(wanted: number): number {
    if (wanted > MAX_MEMORY_BYTES) return 0;
    const pages = Math.ceil((wanted - this.x.memory.buffer.byteLength) / PAGE_BYTES);
    try {
      this.x.memory.grow(Math.max(pages, GROW_PAGES));
      return 1;
    } catch {
      return 0;
    }
  }

  /** The machine's memory as it is now. Ask again after every call that may allocate. */
  bytes(): Uint8Array {
    if (this.u8.length === 0) this.renew();
    return this.u8;
  }

  view(): DataView {
    if (this.u8.length === 0) this.renew();
    return this.data;
  }

  private renew(): void {
    this.u8 = new Uint8Array(this.x.memory.buffer);
    this.data = new DataView(this.x.memory.buffer);
  }

  /** @returns the address of a block of at least `bytes`, whose content lives until the next use of it; 0: no memory */
  scratch(bytes: number): number {
    if (bytes > this.scratchRoom) {
      const at = this.x.realloc(this.scratchAt, bytes);
      if (at === 0) return 0;
      this.scratchAt = at;
      this.scratchRoom = bytes;
    }
    return this.scratchAt;
  }

  /** Gives a large scratch block back. */
  trim(): void {
    if (this.scratchRoom === FIRST_SCRATCH_BYTES) return;
    this.x.free(this.scratchAt);
    this.scratchRoom = FIRST_SCRATCH_BYTES;
    this.scratchAt = this.x.malloc(FIRST_SCRATCH_BYTES);
  }

  /** The address of a constant text (kept for ever): names of fields and the like. */
  text(text: string): number {
    let at = this.texts.get(text);
    if (at === undefined) {
      at = this.x.malloc(text.length + 1);
      const u8 = this.bytes();
      for (let i = 0; i < text.length; i++) u8[at + i] = text.charCodeAt(i);
      u8[at + text.length] = 0;
      this.texts.set(text, at);
    }
    return at;
  }

  /** The address of a text that may be forgotten with the next one. */
  passingText(text: string): number {
    if (this.passing !== 0) this.x.free(this.passing);
    const at = this.x.malloc(text.length + 1);
    const u8 = this.bytes();
    for (let i = 0; i < text.length; i++) u8[at + i] = text.charCodeAt(i);
    u8[at + text.length] = 0;
    this.passing = at;
    return at;
  }

  /** Makes a JavaScript function callable from Lua. @returns its index in the function table */
  addFunction(fn: LuaFunction): number {
    return this.addEntry(asTableEntry(fn, 1, 1));
  }

  /** The same for a debug hook. */
  addHook(fn: (L: LuaState, record: number) => void): number {
    return this.addEntry(asTableEntry(fn, 2, 0));
  }

  /** Puts a function of the binary into the table. */
  addEntry(entry: unknown): number {
    const table = this.x.__indirect_function_table;
    const index = table.grow(1);
    table.set(index, entry);
    return index;
  }

  /** Pushes bytes of another memory as a string. */
  pushBytes(L: LuaState, from: Uint8Array, offset: number, length: number): void {
    const at = this.scratch(length);
    if (at === 0) this.raise(L, 'not enough memory');
    const u8 = this.bytes();
    if (length < SHORT_COPY_BYTES) for (let i = 0; i < length; i++) u8[at + i] = from[offset + i];
    else u8.set(from.subarray(offset, offset + length), at);
    this.x.lua_pushlstring(L, at, length);
  }

  /** Pushes a string whose chars are bytes. */
  pushLatin1(L: LuaState, text: string): void {
    const at = this.scratch(text.length);
    if (at === 0) this.raise(L, 'not enough memory');
    const u8 = this.bytes();
    for (let i = 0; i < text.length; i++) u8[at + i] = text.charCodeAt(i);
    this.x.lua_pushlstring(L, at, text.length);
  }

  /** The bytes of the string or number at `index` (a number becomes a string there): address, and `length`; 0: neither. */
  toBytes(L: LuaState, index: number): number {
    const at = this.x.lua_tolstring(L, index, this.lengthAt);
    this.length = at === 0 ? 0 : this.view().getUint32(this.lengthAt, true);
    return at;
  }

  /** The same as a string, one char a byte; null: neither string nor number. */
  toLatin1(L: LuaState, index: number): string | null {
    const at = this.toBytes(L, index);
    return at === 0 ? null : this.latin1(at, this.length);
  }

  latin1(at: number, length: number): string {
    return Buffer.from(this.bytes().buffer, at, length).toString('latin1');
  }

  /** A NUL-terminated text. */
  cString(at: number): string {
    const u8 = this.bytes();
    let end = at;
    while (u8[end] !== 0) end++;
    return this.latin1(at, end - at);
  }

  /** Raises an error with the position of the caller before its text, as luaL_error does. Never returns. */
  raise(L: LuaState, text: string): never {
    this.x.luaL_where(L, 1);
    const at = this.x.malloc(text.length + 1);
    const u8 = this.bytes();
    for (let i = 0; i < text.length; i++) u8[at + i] = text.charCodeAt(i);
    this.x.lua_pushlstring(L, at, text.length);
    this.x.free(at);
    this.x.lua_concat(L, 2);
    this.x.lua_error(L);
    throw new Error('Cannot go on: lua_error has returned');
  }

  /** Bytes that a state uses, as its collector counts them. */
  usedBytes(L: LuaState): number {
    return this.x.lua_gc(L, LUA_GCCOUNT, 0) * 1024 + this.x.lua_gc(L, LUA_GCCOUNTB, 0);
  }
}
