/**
 * The scripts of one server: which are known, which one runs, and the client through which a running one calls commands. The
 * interpreter itself is handed in (`attachScripting`); without one (a simulation) EVAL answers that there is none.
 */
import { scriptPermissionError } from '../acl/check.ts';
import { CLIENT_DENY_BLOCKING, CLIENT_MULTI, CLIENT_SCRIPT, Client } from '../client.ts';
import { CMD_DENYOOM, CMD_MAY_REPLICATE, CMD_NOSCRIPT, CMD_WRITE, type Command } from '../command.ts';
import { callInside, lookupCommand, OOM_ERROR } from '../dispatch.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import { RdbLoadError } from '../persistence/rdb-load.ts';
import { addReplyError } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { serveOthers } from '../serve-others.ts';
import { CaptureTransport } from './capture.ts';
import {
  SCRIPT_FLAG_ALLOW_OOM,
  SCRIPT_FLAG_EVAL_COMPAT_MODE,
  SCRIPT_FLAG_NO_CLUSTER,
  SCRIPT_FLAG_NO_WRITES,
} from './flags.ts';
import { FunctionLibraries } from './functions.ts';
import type { InterpreterFactory, ScriptInterpreter } from './port.ts';
import { declaredFlags, ScriptCache } from './script-cache.ts';

export const NO_INTERPRETER = 'This server has no Lua interpreter: scripts cannot run here';
const SLOW_EVAL = '-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.';
const SLOW_FUNCTION = '-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.';
/** Room for arguments that is kept between scripts. */
const KEPT_ARGUMENT_BYTES = 16_384;
const FIRST_ARGUMENT_BYTES = 1_024;

export class Scripting {
  readonly core: RedisCore;
  readonly scripts: ScriptCache;
  readonly functions: FunctionLibraries;
  private readonly factory: InterpreterFactory;
  private made: ScriptInterpreter | null = null;

  /** The client of commands that scripts call; made with the first script. */
  private scriptClient: Client | null = null;
  capture: CaptureTransport;

  /** Who runs the present script; null: none runs. */
  caller: Client | null = null;
  /** Its SHA-1 in hex, or the function's name. */
  runName = '';
  /** EVAL, not FCALL. */
  evalMode = true;
  private readOnly = false;
  private allowOom = false;
  /** It has called a command that writes. */
  private wrote = false;
  /** What it does goes to the append-only file: redis.set_repl. */
  logged = true;
  /** SCRIPT KILL or FUNCTION KILL was accepted. */
  killed = false;
  /** Set when it ends because the server does. */
  private stopped = false;
  /** It runs longer than busy-reply-threshold: others are served meanwhile. */
  timedOut = false;
  startUs = 0;
  /** Whether memory had run out when the script's command began. */
  private outOfMemory = false;

  private argumentsAt = 0;
  private argumentsRoom = 0;
  private argumentsUsed = 0;

  constructor(core: RedisCore, factory: InterpreterFactory) {
    this.core = core;
    this.factory = factory;
    this.capture = new CaptureTransport(core.heap);
    this.scripts = new ScriptCache(this);
    this.functions = new FunctionLibraries(this);
  }

  /** The interpreter, made when it is first asked for. @throws where `loadInterpreter` tells an error */
  get interpreter(): ScriptInterpreter {
    this.made ??= this.factory(this);
    return this.made;
  }

  /** Makes the interpreter unless it is there. @returns '', or an error for the client: its package may be missing or broken */
  loadInterpreter(): string {
    try {
      this.made ??= this.factory(this);
      return '';
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const text = `Cannot run scripts: the Lua interpreter cannot be loaded: ${reason.split('\n')[0]}`;
      this.core.log(LOG_WARNING, text);
      return text;
    }
  }

  /** Memory of the interpreter's states in bytes; 0 before the first use. */
  get evalBytes(): number {
    return this.made === null ? 0 : this.made.evalBytes;
  }

  get functionBytes(): number {
    return this.made === null ? 0 : this.made.functionBytes;
  }

  /** Whether the interpreter has been used. */
  get started(): boolean {
    return this.made !== null;
  }

  /** The client that scripts call commands through. */
  get client(): Client {
    if (this.scriptClient === null) {
      const c = new Client(this.core, -1, -1, 0, this.core.dbs[0], this.capture);
      c.flags |= CLIENT_DENY_BLOCKING | CLIENT_SCRIPT;
      c.authenticated = true;
      this.scriptClient = c;
    }
    return this.scriptClient;
  }

  /** The flags of the command in the client's arguments, which runs a script: what that declares about itself goes before. */
  commandFlags(c: Client, commandFlags: number): number {
    const name = c.core.heap.u8[c.argOff[0]] | 0x20;
    let flags: number;
    if (name === 102) flags = this.functions.find(c.argText(1))?.flags ?? SCRIPT_FLAG_EVAL_COMPAT_MODE;
    else if (c.argLen[0] >= 7)
      flags = this.scripts.getIfDigest(c.argOff[1], c.argLen[1])?.flags ?? SCRIPT_FLAG_EVAL_COMPAT_MODE;
    else flags = declaredFlags(this.core.heap.u8, c.argOff[1], c.argLen[1]);
    if ((flags & SCRIPT_FLAG_EVAL_COMPAT_MODE) !== 0) return commandFlags;
    // One that says what it does needs no such precaution either.
    let result = commandFlags & ~(CMD_WRITE | CMD_DENYOOM | CMD_MAY_REPLICATE);
    if ((flags & SCRIPT_FLAG_NO_WRITES) === 0) {
      result |= CMD_WRITE;
      if ((flags & SCRIPT_FLAG_ALLOW_OOM) === 0) result |= CMD_DENYOOM;
    }
    return result;
  }

  /**
   * Makes ready for a script.
   * @returns false when it may not run: the client has been told why
   */
  prepare(c: Client, name: string, flags: number, readOnlyCommand: boolean, evalMode: boolean): boolean {
    const core = this.core;
    const compatible = (flags & SCRIPT_FLAG_EVAL_COMPAT_MODE) !== 0;
    this.outOfMemory = core.maxmemory !== 0 && core.outOfMemory;
    if (!compatible) {
      if ((flags & SCRIPT_FLAG_NO_CLUSTER) !== 0 && core.config.clusterEnabled) {
        addReplyError(c, "Can not run script on cluster, 'no-cluster' flag is set.");
        return false;
      }
      const unsafe = (flags & SCRIPT_FLAG_NO_WRITES) === 0 ? core.persistence.scriptsRefused : '';
      if (unsafe !== '') {
        addReplyError(c, unsafe);
        return false;
      }
      if ((flags & SCRIPT_FLAG_NO_WRITES) === 0 && readOnlyCommand) {
        addReplyError(c, 'Can not execute a script with write flag using *_ro command.');
        return false;
      }
      if (this.outOfMemory && (flags & (SCRIPT_FLAG_ALLOW_OOM | SCRIPT_FLAG_NO_WRITES)) === 0) {
        addReplyError(c, "-OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'");
        return false;
      }
    }
    const client = this.client;
    client.db = c.db;
    client.resp = 2;
    client.user = c.user;
    if ((c.flags & CLIENT_MULTI) !== 0) client.flags |= CLIENT_MULTI;
    this.caller = c;
    this.runName = name;
    this.evalMode = evalMode;
    this.readOnly = readOnlyCommand || (!compatible && (flags & SCRIPT_FLAG_NO_WRITES) !== 0);
    this.allowOom = !compatible && (flags & SCRIPT_FLAG_ALLOW_OOM) !== 0;
    this.wrote = false;
    this.logged = true;
    this.killed = false;
    this.stopped = false;
    this.timedOut = false;
    this.startUs = core.commandStartUs;
    return true;
  }

  /** Forgets the run: to be called whatever became of the script. */
  finish(): void {
    const client = this.client;
    client.flags &= ~CLIENT_MULTI;
    client.command = null;
    client.lastCommand = null;
    client.trimArguments();
    this.capture.trim();
    if (this.argumentsRoom > KEPT_ARGUMENT_BYTES) this.releaseArguments();
    this.argumentsUsed = 0;
    this.timedOut = false;
    this.caller = null;
  }

  private releaseArguments(): void {
    if (this.argumentsAt !== 0) this.core.heap.free(this.argumentsAt);
    this.argumentsAt = 0;
    this.argumentsRoom = 0;
  }

  /** Begins the arguments of the next command. */
  beginArguments(count: number): void {
    const client = this.client;
    if (client.argOff.length < count) client.growArguments(count);
    client.argc = 0;
    this.argumentsUsed = 0;
  }

  /**
   * Adds an argument.
   * @returns where its `length` bytes are to be stored
   * @throws ARENA_EXHAUSTED
   */
  addArgument(length: number): number {
    // One byte more: no argument lies at the end of its block, as is so in an input buffer.
    if (this.argumentsUsed + length + 1 > this.argumentsRoom) this.growArgumentRoom(length + 1);
    const client = this.client;
    const at = this.argumentsAt + this.argumentsUsed;
    client.argOff[client.argc] = at;
    client.argLen[client.argc] = length;
    client.argc++;
    this.argumentsUsed += length + 1;
    return at;
  }

  private growArgumentRoom(needed: number): void {
    const heap = this.core.heap;
    let room = Math.max(this.argumentsRoom * 2, FIRST_ARGUMENT_BYTES);
    while (room < this.argumentsUsed + needed) room *= 2;
    const moved = heap.alloc(room);
    if (this.argumentsAt !== 0) {
      heap.copy(this.argumentsAt, moved, this.argumentsUsed);
      heap.free(this.argumentsAt);
      const client = this.client;
      for (let i = 0; i < client.argc; i++) client.argOff[i] += moved - this.argumentsAt;
    }
    this.argumentsAt = moved;
    this.argumentsRoom = room;
  }

  /**
   * Executes the command in the client's arguments; its reply is in `capture` afterwards.
   * @returns null, or why the command was not executed (with "-CODE" or without): it has been counted as an error
   */
  call(): string | null {
    const core = this.core;
    const client = this.client;
    const command = lookupCommand(core, client);
    client.command = command;
    client.lastCommand = command;
    const error = this.refusal(command);
    if (error !== null) {
      core.countError(client, error);
      // What names no command counts as a failure of the script's, as in the original.
      if (command !== null) {
        core.errorsInCommand = 0;
        command.rejectedCalls++;
      }
      return error;
    }
    if ((command!.flags & CMD_WRITE) !== 0) this.wrote = true;
    this.capture.clear();
    const { effects } = core;
    const { active } = effects;
    if (!this.logged) effects.active = false;
    try {
      callInside(core, client, command!);
    } finally {
      if (!this.logged) effects.active = active;
    }
    client.releaseArguments();
    // A command may have selected another database: that is the script's from here on, not the caller's.
    return null;
  }

  private refusal(command: Command | null): string | null {
    const client = this.client;
    if (command === null) return 'Unknown Redis command called from script';
    if (command.arity >= 0 ? command.arity !== client.argc : client.argc < -command.arity) {
      return 'Wrong number of args calling Redis command from script';
    }
    const flags = command.flags;
    if ((flags & CMD_NOSCRIPT) !== 0 && !this.core.debug.scriptsMayAll)
      return 'This Redis command is not allowed from script';
    if (client.user !== null && !client.user.unrestricted) {
      const refusal = scriptPermissionError(this.core, client, this.caller!, command);
      if (refusal !== null) return refusal;
    }
    if (this.readOnly && (flags & (CMD_WRITE | CMD_MAY_REPLICATE)) !== 0) {
      return 'Write commands are not allowed from read-only scripts.';
    }
    // What has begun to write goes on: half of it would be worse.
    if ((flags & CMD_WRITE) !== 0 && !this.wrote && this.core.persistence.writesRefused !== '') {
      return this.core.persistence.writesRefused;
    }
    if ((flags & CMD_DENYOOM) !== 0 && this.outOfMemory && !this.allowOom && !this.wrote) return OOM_ERROR;
    return null;
  }

  /**
   * To be called by the interpreter from time to time while a script runs. After busy-reply-threshold others are served from within.
   * @returns true when the script has been killed
   */
  interrupt(): boolean {
    const core = this.core;
    if (this.killed) return true;
    if (!this.timedOut) {
      const elapsedMs = (core.clock.monoUs() - this.startUs) / 1000;
      const threshold = core.config.busyReplyThreshold;
      if (threshold <= 0 || elapsedMs < threshold) return false;
      core.log(
        LOG_WARNING,
        `Slow script detected: still in execution after ${Math.floor(elapsedMs)} milliseconds. You can try killing the script using the ` +
          `${this.evalMode ? 'SCRIPT KILL' : 'FUNCTION KILL'} command. Script name is: ${this.runName}.`,
      );
      this.timedOut = true;
    }
    if (!serveOthers(core, this.caller!)) {
      // Whoever stops the server stops the script with it; its caller hears no more of it, as of a process that has ended.
      this.killed = true;
      this.stopped = true;
      core.closeClient(this.caller!, false);
    }
    return this.killed;
  }

  /** Says in the log that the running script is being ended. */
  logKill(): void {
    const { core } = this;
    if (this.stopped) return;
    if (this.evalMode) core.log(LOG_NOTICE, 'Lua script killed by user with SCRIPT KILL.');
    else core.log(LOG_NOTICE, 'Script killed by user with FUNCTION KILL.');
  }

  /** After a failure of the interpreter itself: scripts are forgotten, libraries are loaded again from their code. */
  restartInterpreter(): void {
    this.made = null;
    this.scripts.forget();
    this.functions.reload();
  }

  /** While a script runs too long: what all commands but a few are answered. Null: none does. */
  busyError(): string | null {
    if (!this.timedOut) return null;
    return this.evalMode ? SLOW_EVAL : SLOW_FUNCTION;
  }

  /** SCRIPT KILL and FUNCTION KILL. @returns null: killed, or why not */
  kill(evalCommand: boolean): string | null {
    if (this.caller === null) return '-NOTBUSY No scripts in execution right now.';
    if (this.wrote) {
      return (
        '-UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script ' +
        'termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.'
      );
    }
    if (evalCommand !== this.evalMode) return evalCommand ? SLOW_FUNCTION : SLOW_EVAL;
    this.killed = true;
    return null;
  }
}

/** Gives a core its scripts. */
export function attachScripting(core: RedisCore, factory: InterpreterFactory): Scripting {
  const scripting = new Scripting(core, factory);
  core.scripting = scripting;
  core.persistence.libraries = () => [...scripting.functions.libraries.values()].map((library) => library.code);
  core.persistence.loadLibrary = (code, replace) => {
    const library = scripting.functions.load(code, replace);
    if (typeof library === 'string') throw new RdbLoadError(`Cannot load a function library: ${library}`);
  };
  return scripting;
}
