/** The scripting commands. FUNCTION is in function.ts. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { addReplyArrayLen, addReplyBulkString, addReplyError, addReplyLong, addReplyOk } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { type Script, SHA_HEX_BYTES } from '../scripting/script-cache.ts';
import type { Scripting } from '../scripting/scripting.ts';
import { functionProcs, readKeyCount, scriptingOf } from './function.ts';
import { addHelp } from './help.ts';
import { argNumber } from './integer-arguments.ts';

const NO_SCRIPT = '-NOSCRIPT No matching script. Please use EVAL.';
const FLUSH_OPTION = 'SCRIPT FLUSH only support SYNC|ASYNC option';

function run(scripting: Scripting, c: Client, script: Script, keys: number, readOnly: boolean): void {
  if (!scripting.prepare(c, script.sha, script.flags, readOnly, true)) return;
  try {
    scripting.interpreter.run(c, script.handle, keys, false);
  } finally {
    scripting.finish();
  }
}

function evalGeneric(core: RedisCore, c: Client, readOnly: boolean): void {
  const scripting = scriptingOf(core, c);
  if (scripting === null || !readKeyCount(core, c)) return;
  const keys = argNumber;
  const script = scripting.scripts.obtain(c.argOff[1], c.argLen[1]);
  if (typeof script === 'string') addReplyError(c, script);
  else run(scripting, c, script, keys, readOnly);
}

function evalShaGeneric(core: RedisCore, c: Client, readOnly: boolean): void {
  const scripting = scriptingOf(core, c);
  if (scripting === null) return;
  if (c.argLen[1] !== SHA_HEX_BYTES) {
    addReplyError(c, NO_SCRIPT);
    return;
  }
  if (!readKeyCount(core, c)) return;
  const keys = argNumber;
  const script = scripting.scripts.getBytes(c.argOff[1]);
  if (script === null) addReplyError(c, NO_SCRIPT);
  else run(scripting, c, script, keys, readOnly);
}

function scriptLoad(core: RedisCore, c: Client): void {
  const scripting = scriptingOf(core, c);
  if (scripting === null) return;
  const script = scripting.scripts.obtain(c.argOff[2], c.argLen[2]);
  if (typeof script === 'string') addReplyError(c, script);
  else addReplyBulkString(c, script.sha);
}

function scriptExists(core: RedisCore, c: Client): void {
  addReplyArrayLen(c, c.argc - 2);
  for (let i = 2; i < c.argc; i++) {
    addReplyLong(c, core.scripting?.scripts.has(c.argText(i).toLowerCase()) === true ? 1 : 0);
  }
}

function scriptFlush(core: RedisCore, c: Client): void {
  if (c.argc > 3 || (c.argc === 3 && !c.argIs(2, 'sync') && !c.argIs(2, 'async'))) {
    addReplyError(c, FLUSH_OPTION);
    return;
  }
  core.scripting?.scripts.flush();
  addReplyOk(c);
}

function scriptKill(core: RedisCore, c: Client): void {
  const error = core.scripting === null ? '-NOTBUSY No scripts in execution right now.' : core.scripting.kill(true);
  if (error === null) addReplyOk(c);
  else addReplyError(c, error);
}

function scriptDebug(_core: RedisCore, c: Client): void {
  if (c.argIs(2, 'no')) {
    addReplyOk(c);
  } else if (c.argIs(2, 'yes') || c.argIs(2, 'sync')) {
    addReplyError(c, 'The Lua debugger is not available here. Only SCRIPT DEBUG NO is accepted.');
  } else {
    addReplyError(c, 'Use SCRIPT DEBUG YES/SYNC/NO');
  }
}

const SCRIPT_HELP = [
  'DEBUG (YES|SYNC|NO)',
  '    Debugging sessions do not exist here: NO is accepted.',
  'EXISTS <sha1> [<sha1> ...]',
  '    For each digest: 1 if the script is known, 0 if not.',
  'FLUSH [ASYNC|SYNC]',
  '    Forgets all scripts.',
  'KILL',
  '    Ends the running script if it has not written yet.',
  'LOAD <script>',
  '    Compiles a script and keeps it without running it.',
];

/** By full name. */
export const scriptingProcs: Readonly<Record<string, CommandProc>> = {
  eval: (core, c) => evalGeneric(core, c, false),
  eval_ro: (core, c) => evalGeneric(core, c, true),
  evalsha: (core, c) => evalShaGeneric(core, c, false),
  evalsha_ro: (core, c) => evalShaGeneric(core, c, true),
  'script|load': scriptLoad,
  'script|exists': scriptExists,
  'script|flush': scriptFlush,
  'script|kill': scriptKill,
  'script|debug': scriptDebug,
  'script|help': addHelp(SCRIPT_HELP),
  ...functionProcs,
};
