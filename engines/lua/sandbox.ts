/**
 * The world that scripts see: which globals there are, and that they cannot be changed.
 *
 * The original's Lua has read-only tables built in; this one is stock Lua 5.1, so a read-only table is an empty one whose
 * metatable finds everything in the real table and refuses new fields. The few functions that look past metatables (next, pairs, rawget,
 * rawset, …) are replaced by ones that know these tables, so that scripts see no difference but the time of a second lookup.
 */
import { wideFormat, wideToNumber } from './integer-format.ts';
import {
  LUA_GLOBALSINDEX,
  LUA_REGISTRYINDEX,
  LUA_TLIGHTUSERDATA,
  LUA_TSTRING,
  type LuaFunction,
  type LuaMachine,
  type LuaState,
} from './machine.ts';

const READ_ONLY = 'Attempt to modify a readonly table';
/** Globals of the base library that scripts do not get. */
const FORBIDDEN = ['dofile', 'loadfile', 'print', 'newproxy', 'setfenv', 'getfenv'];
const ESC = 27;
const BYTECODE = "unexpected symbol near 'char(27)'";

/** Functions of JavaScript under names, as they go into a table. Their table entries are made once a machine. */
export type LuaLibrary = Readonly<Record<string, number>>;

/** One state with its globals. */
export interface World {
  readonly L: LuaState;
  /** The metatable of the read-only globals, by reference: its __index says what scripts see. */
  readonly globalsMeta: number;
  /** Addresses of read-only tables. */
  readonly readOnly: number[];
}

export class Sandbox {
  private readonly machine: LuaMachine;
  /** Reference to the real table by the address of the read-only one. */
  private readonly real = new Map<number, number>();
  /** Reference to what getmetatable shows of it, 0: nil. */
  private readonly shownMeta = new Map<number, number>();
  private readonly refuse: number;
  private readonly unknownGlobal: number;
  private readonly nullText: number;
  private readonly openers: readonly (readonly [string, number])[];
  private readonly wrapped = new Map<string, number>();

  constructor(machine: LuaMachine) {
    this.machine = machine;
    const { x } = machine;
    this.refuse = machine.addFunction((L) => machine.raise(L, READ_ONLY));
    this.unknownGlobal = machine.addFunction((L) => {
      const name = machine.toBytes(L, 2) === 0 ? '?' : machine.toLatin1(L, 2);
      return machine.raise(L, `Script attempted to access nonexistent global variable '${name}'`);
    });
    this.nullText = machine.addFunction((L) => {
      x.lua_pushstring(L, machine.text('userdata: (nil)'));
      return 1;
    });
    this.openers = [
      ['', machine.addEntry(x.luaopen_base)],
      ['table', machine.addEntry(x.luaopen_table)],
      ['string', machine.addEntry(x.luaopen_string)],
      ['math', machine.addEntry(x.luaopen_math)],
    ];
  }

  /** Makes a state with the standard libraries in its globals, which can still be changed. */
  open(): LuaState {
    const { machine } = this;
    const { x } = machine;
    const L = x.luaL_newstate();
    for (const [name, fn] of this.openers) {
      x.lua_pushcclosure(L, fn, 0);
      x.lua_pushstring(L, machine.text(name));
      x.lua_call(L, 1, 0);
    }
    for (const name of FORBIDDEN) {
      x.lua_pushnil(L);
      x.lua_setfield(L, LUA_GLOBALSINDEX, machine.text(name));
    }
    this.wrap(L, null, 'next');
    for (const name of ['pairs', 'ipairs', 'rawget']) this.wrap(L, null, name);
    this.wrap(L, 'table', 'foreach');
    this.wrap(L, 'table', 'foreachi');
    this.wrap(L, null, 'rawset', true);
    this.wrap(L, null, 'setmetatable', true);
    this.wrap(L, 'table', 'insert', true);
    this.wrapGetmetatable(L);
    this.wrapLoaders(L);
    this.nameNull(L);
    this.help(L, 'string', 'format', wideFormat);
    this.help(L, null, 'tonumber', wideToNumber);
    return L;
  }

  /** cjson.null is a null pointer, which the original's C library prints as "(nil)" and this one's as "0". */
  private nameNull(L: LuaState): void {
    const { machine } = this;
    const { x } = machine;
    x.lua_pushlightuserdata(L, 0);
    x.lua_createtable(L, 0, 1);
    x.lua_pushcclosure(L, this.nullText, 0);
    x.lua_setfield(L, -2, machine.text('__tostring'));
    x.lua_setmetatable(L, -2);
    x.lua_settop(L, -2);
  }

  /** Puts a function into the globals or a table of theirs. */
  setFunction(L: LuaState, table: string | null, name: string, fn: number): void {
    const { x } = this.machine;
    if (table === null) x.lua_pushvalue(L, LUA_GLOBALSINDEX);
    else x.lua_getfield(L, LUA_GLOBALSINDEX, this.machine.text(table));
    x.lua_pushcclosure(L, fn, 0);
    x.lua_setfield(L, -2, this.machine.text(name));
    x.lua_settop(L, -2);
  }

  /** Makes a global table of functions. */
  addLibrary(L: LuaState, name: string, library: LuaLibrary): void {
    const { x } = this.machine;
    x.lua_createtable(L, 0, Object.keys(library).length);
    x.lua_setfield(L, LUA_GLOBALSINDEX, this.machine.text(name));
    for (const [one, fn] of Object.entries(library)) this.setFunction(L, name, one, fn);
  }

  /** Replaces a function by one that looks at the real table where argument 1 is a read-only one. */
  private wrap(L: LuaState, table: string | null, name: string, changes = false): void {
    const { machine, real } = this;
    const { x } = machine;
    const key = machine.text(name);
    if (table === null) x.lua_pushvalue(L, LUA_GLOBALSINDEX);
    else x.lua_getfield(L, LUA_GLOBALSINDEX, machine.text(table));
    x.lua_getfield(L, -1, key);
    const original = x.__indirect_function_table.get(x.lua_tocfunction(L, -1)) as LuaFunction;
    let entry = this.wrapped.get(name);
    if (entry === undefined) {
      entry = machine.addFunction((state) => {
        const ref = real.get(x.lua_topointer(state, 1));
        if (ref !== undefined) {
          if (changes) return this.refuseWithoutPosition(state);
          x.lua_rawgeti(state, LUA_REGISTRYINDEX, ref);
          x.lua_replace(state, 1);
        }
        return original(state);
      });
      this.wrapped.set(name, entry);
    }
    // pairs and ipairs keep their iterator as an upvalue.
    const upvalues = x.lua_getupvalue(L, -1, 1) !== 0 ? 1 : 0;
    x.lua_pushcclosure(L, entry, upvalues);
    x.lua_setfield(L, -3, key);
    x.lua_settop(L, -3);
  }

  /** Puts a function of ours before one of the library's. */
  private help(
    L: LuaState,
    table: string | null,
    name: string,
    helper: (machine: LuaMachine, state: LuaState, original: LuaFunction) => number,
  ): void {
    const { machine } = this;
    const { x } = machine;
    if (table === null) x.lua_pushvalue(L, LUA_GLOBALSINDEX);
    else x.lua_getfield(L, LUA_GLOBALSINDEX, machine.text(table));
    x.lua_getfield(L, -1, machine.text(name));
    const original = x.__indirect_function_table.get(x.lua_tocfunction(L, -1)) as LuaFunction;
    x.lua_settop(L, -3);
    let entry = this.wrapped.get(name);
    if (entry === undefined) {
      entry = machine.addFunction((state) => helper(machine, state, original));
      this.wrapped.set(name, entry);
    }
    this.setFunction(L, table, name, entry);
  }

  private refuseWithoutPosition(L: LuaState): number {
    this.machine.pushLatin1(L, READ_ONLY);
    return this.machine.x.lua_error(L);
  }

  private wrapGetmetatable(L: LuaState): void {
    const { machine } = this;
    const { x } = machine;
    x.lua_getfield(L, LUA_GLOBALSINDEX, machine.text('getmetatable'));
    const original = x.__indirect_function_table.get(x.lua_tocfunction(L, -1)) as LuaFunction;
    x.lua_settop(L, -2);
    let entry = this.wrapped.get('getmetatable');
    if (entry === undefined) {
      entry = machine.addFunction((state) => {
        // The metatable of light userdata is ours: see nameNull.
        const hidden = x.lua_type(state, 1) === LUA_TLIGHTUSERDATA;
        const shown = hidden ? 0 : this.shownMeta.get(x.lua_topointer(state, 1));
        if (shown === undefined) return original(state);
        if (shown === 0) x.lua_pushnil(state);
        else x.lua_rawgeti(state, LUA_REGISTRYINDEX, shown);
        return 1;
      });
      this.wrapped.set('getmetatable', entry);
    }
    this.setFunction(L, null, 'getmetatable', entry);
  }

  /** loadstring and load take source only: compiled code could break out. */
  private wrapLoaders(L: LuaState): void {
    const { machine } = this;
    const { x } = machine;
    x.lua_getfield(L, LUA_GLOBALSINDEX, machine.text('loadstring'));
    const loadString = x.__indirect_function_table.get(x.lua_tocfunction(L, -1)) as LuaFunction;
    x.lua_settop(L, -2);
    let entry = this.wrapped.get('loadstring');
    if (entry === undefined) {
      entry = machine.addFunction((state) => this.loadText(state, loadString));
      this.wrapped.set('loadstring', entry);
      this.wrapped.set(
        'load',
        machine.addFunction((state) => this.loadPieces(state)),
      );
    }
    this.setFunction(L, null, 'loadstring', entry);
    this.setFunction(L, null, 'load', this.wrapped.get('load')!);
  }

  private loadText(L: LuaState, original: LuaFunction): number {
    const { machine } = this;
    const { x } = machine;
    const at = x.lua_type(L, 1) === LUA_TSTRING ? machine.toBytes(L, 1) : 0;
    if (at === 0 || machine.length === 0 || machine.bytes()[at] !== ESC) return original(L);
    const named = x.lua_type(L, 2) === LUA_TSTRING ? machine.toLatin1(L, 2)! : machine.toLatin1(L, 1)!;
    return this.bytecode(L, named);
  }

  private bytecode(L: LuaState, chunkName: string): number {
    const { machine } = this;
    machine.x.lua_pushnil(L);
    machine.pushLatin1(L, `${shownName(chunkName)}:1: ${BYTECODE}`);
    return 2;
  }

  /** load(function, name): asks for pieces until there is no more, then compiles them together. */
  private loadPieces(L: LuaState): number {
    const { machine } = this;
    const { x } = machine;
    x.luaL_checktype(L, 1, 6);
    const name = x.lua_type(L, 2) === LUA_TSTRING ? machine.toLatin1(L, 2)! : '=(load)';
    x.lua_settop(L, 1);
    let pieces = 0;
    for (;;) {
      x.lua_checkstack(L, 4);
      x.lua_pushvalue(L, 1);
      // As in the original an error of the function is a result of load.
      if (x.lua_pcall(L, 0, 1, 0) !== 0) {
        x.lua_pushnil(L);
        x.lua_insert(L, -2);
        return 2;
      }
      const type = x.lua_type(L, -1);
      if (type === 0) {
        x.lua_settop(L, -2);
        break;
      }
      if (x.lua_isstring(L, -1) === 0) {
        x.lua_pushnil(L);
        machine.pushLatin1(L, 'reader function must return a string');
        return 2;
      }
      if (x.lua_objlen(L, -1) === 0) {
        x.lua_settop(L, -2);
        break;
      }
      pieces++;
      if (pieces === 2) {
        x.lua_concat(L, 2);
        pieces = 1;
      }
    }
    if (pieces === 0) x.lua_pushstring(L, machine.text(''));
    const at = machine.toBytes(L, -1);
    if (machine.length > 0 && machine.bytes()[at] === ESC) return this.bytecode(L, name);
    if (x.luaL_loadbuffer(L, at, machine.length, machine.text(name)) === 0) return 1;
    x.lua_pushnil(L);
    x.lua_insert(L, -2);
    return 2;
  }

  /**
   * Replaces the table at the top by a read-only one.
   * @param strict reading what it does not have is an error, as for globals
   * @param shown the reference of what getmetatable gives, 0: nil
   */
  protect(L: LuaState, world: number[], shown: number, strict = false): void {
    const { machine } = this;
    const { x } = machine;
    if (strict) this.makeStrict(L);
    x.lua_createtable(L, 0, 0);
    x.lua_createtable(L, 0, 2);
    x.lua_pushvalue(L, -3);
    x.lua_setfield(L, -2, machine.text('__index'));
    x.lua_pushcclosure(L, this.refuse, 0);
    x.lua_setfield(L, -2, machine.text('__newindex'));
    x.lua_setmetatable(L, -2);
    const address = x.lua_topointer(L, -1);
    x.lua_insert(L, -2);
    this.real.set(address, x.luaL_ref(L, LUA_REGISTRYINDEX));
    this.shownMeta.set(address, shown);
    world.push(address);
  }

  /** Reading what the table at the top does not have becomes an error. */
  makeStrict(L: LuaState): void {
    const { x } = this.machine;
    x.lua_createtable(L, 0, 1);
    x.lua_pushcclosure(L, this.unknownGlobal, 0);
    x.lua_setfield(L, -2, this.machine.text('__index'));
    x.lua_setmetatable(L, -2);
  }

  /** Protects global tables by name and what `getmetatable("")` gives. */
  protectLibraries(L: LuaState, world: number[], names: readonly string[]): void {
    const { machine } = this;
    const { x } = machine;
    for (const name of names) {
      x.lua_getfield(L, LUA_GLOBALSINDEX, machine.text(name));
      this.protect(L, world, 0);
      x.lua_setfield(L, LUA_GLOBALSINDEX, machine.text(name));
    }
    x.lua_pushstring(L, machine.text(''));
    x.lua_getmetatable(L, -1);
    x.lua_getfield(L, LUA_GLOBALSINDEX, machine.text('string'));
    x.lua_setfield(L, -2, machine.text('__index'));
    x.lua_pushvalue(L, -1);
    this.protect(L, world, 0);
    x.lua_setfield(L, -2, machine.text('__metatable'));
    x.lua_settop(L, -3);
  }

  /**
   * Closes the globals: scripts compiled from now on see a read-only table in their place.
   * @returns the world; the real globals lie at stack index 1
   */
  close(L: LuaState, world: number[]): World {
    const { machine } = this;
    const { x } = machine;
    x.lua_settop(L, 0);
    x.lua_pushvalue(L, LUA_GLOBALSINDEX);
    this.makeStrict(L);
    // What getmetatable(_G) gives: a read-only table with __index alone.
    x.lua_createtable(L, 0, 1);
    x.lua_pushcclosure(L, this.unknownGlobal, 0);
    x.lua_setfield(L, -2, machine.text('__index'));
    this.protect(L, world, 0);
    const shown = x.luaL_ref(L, LUA_REGISTRYINDEX);
    x.lua_pushvalue(L, 1);
    this.protect(L, world, shown);
    x.lua_getmetatable(L, -1);
    const globalsMeta = x.luaL_ref(L, LUA_REGISTRYINDEX);
    x.lua_pushvalue(L, -1);
    x.lua_setfield(L, 1, machine.text('_G'));
    x.lua_replace(L, LUA_GLOBALSINDEX);
    return { L, globalsMeta, readOnly: world };
  }

  /** Ends a state. */
  destroy(world: World): void {
    for (const address of world.readOnly) {
      this.real.delete(address);
      this.shownMeta.delete(address);
    }
    this.machine.x.lua_close(world.L);
  }
}

/** How errors name a chunk. */
function shownName(chunkName: string): string {
  if (chunkName.startsWith('=') || chunkName.startsWith('@')) return chunkName.slice(1);
  const line = chunkName.split('\n')[0]!;
  const nul = line.indexOf('\0');
  return `[string "${nul < 0 ? line : line.slice(0, nul)}"]`;
}
