/** PING, ECHO, SELECT, AUTH, HELLO, QUIT, RESET. */
import { logIn, useDefaultUser } from '../acl/sessions.ts';
import { adminOf } from '../admin.ts';
import {
  CLIENT_CLOSE_AFTER_REPLY,
  CLIENT_PUBSUB,
  CLIENT_REPLY_OFF,
  CLIENT_REPLY_SKIP,
  CLIENT_REPLY_SKIP_NEXT,
  type Client,
} from '../client.ts';
import type { CommandProc } from '../command.ts';
import { stopMonitoring } from '../monitor.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  addReplyOk,
  addReplyProto,
  addReplyStatus,
  NOT_AN_INTEGER,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { discardTransaction } from '../transactions.ts';
import { integerArgument } from './integer-arguments.ts';

/** The version whose behaviour this engine has. */
export const REDIS_VERSION = '7.0.15';

const WRONG_PASSWORD = '-WRONGPASS invalid username-password pair or user is disabled.';
const NO_PASSWORD_SET =
  'AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?';
const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

function ping(_core: RedisCore, c: Client): void {
  if (c.argc > 2) {
    addReplyError(c, "wrong number of arguments for 'ping' command");
  } else if ((c.flags & CLIENT_PUBSUB) !== 0 && c.resp === 2) {
    addReplyArrayLen(c, 2);
    addReplyBulkString(c, 'pong');
    if (c.argc === 1) addReplyBulkString(c, '');
    else addReplyBulk(c, c.argOff[1]!, c.argLen[1]!);
  } else if (c.argc === 1) {
    addReplyProto(c, '+PONG\r\n');
  } else {
    addReplyBulk(c, c.argOff[1]!, c.argLen[1]!);
  }
}

function echo(_core: RedisCore, c: Client): void {
  addReplyBulk(c, c.argOff[1]!, c.argLen[1]!);
}

function select(core: RedisCore, c: Client): void {
  const index = integerArgument(c, 1);
  if (index === null) addReplyError(c, NOT_AN_INTEGER);
  else if (index < INT_MIN || index > INT_MAX) {
    addReplyError(c, `value is out of range, value must between ${INT_MIN} and ${INT_MAX}`);
  } else if (index < 0 || index >= core.dbs.length) addReplyError(c, 'DB index is out of range');
  else {
    c.db = core.dbs[index]!;
    addReplyOk(c);
  }
}

function auth(core: RedisCore, c: Client): void {
  if (c.argc > 3) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  for (let i = 1; i < c.argc; i++) c.redact(i);
  if (c.argc === 2 && core.acl.defaultUser.noPassword) {
    addReplyError(c, NO_PASSWORD_SET);
  } else if (logIn(core, c, c.argc === 3 ? c.argText(1) : 'default', c.argText(c.argc - 1))) {
    addReplyOk(c);
  } else {
    addReplyError(c, WRONG_PASSWORD);
  }
}

export const BAD_NAME = 'Client names cannot contain spaces, newlines or special characters.';

/** Names are printable and without blanks, because CLIENT LIST separates its fields by blanks. */
export function isClientName(name: string): boolean {
  return /^[!-~]*$/.test(name);
}

interface HelloOptions {
  version: number;
  credentials: readonly [user: string, password: string] | null;
  name: string | null;
}

/** @returns null when the client was told what is wrong */
function readHello(c: Client): HelloOptions | null {
  const options: HelloOptions = { version: 0, credentials: null, name: null };
  let next = 1;
  if (c.argc >= 2) {
    const version = integerArgument(c, 1);
    next = 2;
    if (version === null) {
      addReplyError(c, 'Protocol version is not an integer or out of range');
      return null;
    }
    if (version < 2 || version > 3) {
      addReplyError(c, '-NOPROTO unsupported protocol version');
      return null;
    }
    options.version = version;
  }
  while (next < c.argc) {
    const more = c.argc - 1 - next;
    if (c.argIs(next, 'auth') && more >= 2) {
      c.redact(next + 1);
      c.redact(next + 2);
      options.credentials = [c.argText(next + 1), c.argText(next + 2)];
      next += 3;
    } else if (c.argIs(next, 'setname') && more >= 1) {
      options.name = c.argText(next + 1);
      if (!isClientName(options.name)) {
        addReplyError(c, BAD_NAME);
        return null;
      }
      next += 2;
    } else {
      addReplyError(c, `Syntax error in HELLO option '${c.argText(next)}'`);
      return null;
    }
  }
  return options;
}

function hello(core: RedisCore, c: Client): void {
  const options = readHello(c);
  if (options === null) return;
  if (options.credentials !== null && !logIn(core, c, ...options.credentials)) {
    addReplyError(c, WRONG_PASSWORD);
    return;
  }
  if (!c.authenticated) {
    addReplyError(
      c,
      '-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> ' +
        'option can be used to authenticate the client and select the RESP protocol version at the same time',
    );
    return;
  }
  if (options.name !== null) c.name = options.name;
  if (options.version !== 0) c.resp = options.version;
  addReplyMapLen(c, 7);
  addReplyBulkString(c, 'server');
  addReplyBulkString(c, 'redis');
  addReplyBulkString(c, 'version');
  addReplyBulkString(c, REDIS_VERSION);
  addReplyBulkString(c, 'proto');
  addReplyLong(c, c.resp);
  addReplyBulkString(c, 'id');
  addReplyLong(c, c.id);
  addReplyBulkString(c, 'mode');
  addReplyBulkString(c, 'standalone');
  addReplyBulkString(c, 'role');
  addReplyBulkString(c, 'master');
  addReplyBulkString(c, 'modules');
  addReplyArrayLen(c, 0);
}

function quit(core: RedisCore, c: Client): void {
  addReplyOk(c);
  core.closeClient(c, true);
}

function reset(core: RedisCore, c: Client): void {
  discardTransaction(core, c);
  adminOf(core).pubsub.forget(c);
  stopMonitoring(core, c);
  core.tracking.disable(c);
  c.flags &= ~(CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT | CLIENT_PUBSUB);
  c.resp = 2;
  c.name = '';
  c.db = core.dbs[0]!;
  useDefaultUser(core, c);
  if ((c.flags & CLIENT_CLOSE_AFTER_REPLY) === 0) addReplyStatus(c, 'RESET');
}

export const connectionProcs: Readonly<Record<string, CommandProc>> = {
  ping,
  echo,
  select,
  auth,
  hello,
  quit,
  reset,
};
