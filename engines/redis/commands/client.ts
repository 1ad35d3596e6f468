/** CLIENT. */
import { interruptBlocked } from '../blocked.ts';
import {
  CLIENT_BLOCKED,
  CLIENT_CLOSE_AFTER_COMMAND,
  CLIENT_NO_EVICT,
  CLIENT_PUBSUB,
  CLIENT_REPLY_OFF,
  CLIENT_REPLY_SKIP,
  CLIENT_REPLY_SKIP_NEXT,
  type Client,
} from '../client.ts';
import { clientInfo } from '../client-info.ts';
import type { CommandProc } from '../command.ts';
import {
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyNull,
  addReplyOk,
  addReplyVerbatim,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { BAD_NAME, isClientName } from './connection.ts';
import { addHelp } from './help.ts';
import { integerArgument, integerOrReply } from './integer-arguments.ts';

type ClientType = 'normal' | 'pubsub' | 'replica' | 'master';

function typeOf(c: Client): ClientType {
  return (c.flags & CLIENT_PUBSUB) !== 0 ? 'pubsub' : 'normal';
}

function parseType(word: string): ClientType | null {
  const lower = word.toLowerCase();
  if (lower === 'slave' || lower === 'replica') return 'replica';
  return lower === 'normal' || lower === 'pubsub' || lower === 'master' ? lower : null;
}

function* liveClients(core: RedisCore): Generator<Client> {
  for (const c of core.clients) if (c !== null) yield c;
}

function list(core: RedisCore, c: Client): void {
  let chosen = [...liveClients(core)];
  if (c.argc === 4 && c.argIs(2, 'type')) {
    const type = parseType(c.argText(3));
    if (type === null) {
      addReplyError(c, `Unknown client type '${c.argText(3)}'`);
      return;
    }
    chosen = chosen.filter((one) => typeOf(one) === type);
  } else if (c.argc > 3 && c.argIs(2, 'id')) {
    const byId = new Map(chosen.map((one) => [one.id, one]));
    chosen = [];
    for (let i = 3; i < c.argc; i++) {
      const id = integerOrReply(c, i, 'Invalid client ID');
      if (id === null) return;
      const one = byId.get(id);
      if (one !== undefined) chosen.push(one);
    }
  } else if (c.argc !== 2) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  chosen.sort((a, b) => a.id - b.id);
  addReplyVerbatim(c, chosen.map((one) => `${clientInfo(core, one)}\n`).join(''), 'txt');
}

/** Which clients a CLIENT KILL means. */
interface KillFilter {
  id: number | null;
  type: ClientType | null;
  addr: string | null;
  laddr: string | null;
  user: string | null;
  skipMe: boolean;
}

/** @returns null when the client was told what is wrong */
function readKillFilter(c: Client): KillFilter | null {
  const filter: KillFilter = { id: null, type: null, addr: null, laddr: null, user: null, skipMe: true };
  for (let i = 2; i < c.argc; i += 2) {
    if (i + 1 >= c.argc) {
      addReplyError(c, SYNTAX_ERROR);
      return null;
    }
    const value = c.argText(i + 1);
    if (c.argIs(i, 'id')) {
      const id = integerArgument(c, i + 1);
      if (id === null || id < 1) {
        addReplyError(c, 'client-id should be greater than 0');
        return null;
      }
      filter.id = id;
    } else if (c.argIs(i, 'type')) {
      filter.type = parseType(value);
      if (filter.type === null) {
        addReplyError(c, `Unknown client type '${value}'`);
        return null;
      }
    } else if (c.argIs(i, 'addr')) filter.addr = value;
    else if (c.argIs(i, 'laddr')) filter.laddr = value;
    else if (c.argIs(i, 'user')) {
      if (!c.core.acl.users.has(value)) {
        addReplyError(c, `No such user '${value}'`);
        return null;
      }
      filter.user = value;
    } else if (c.argIs(i, 'skipme') && /^(yes|no)$/i.test(value)) filter.skipMe = value.toLowerCase() === 'yes';
    else {
      addReplyError(c, SYNTAX_ERROR);
      return null;
    }
  }
  return filter;
}

function isMeant(one: Client, filter: KillFilter): boolean {
  return (
    (filter.id === null || one.id === filter.id) &&
    (filter.type === null || typeOf(one) === filter.type) &&
    (filter.addr === null || one.addr === filter.addr) &&
    (filter.laddr === null || one.laddr === filter.laddr) &&
    (filter.user === null || (one.user?.name === filter.user && one.authenticated))
  );
}

function kill(core: RedisCore, c: Client): void {
  const oldForm = c.argc === 3;
  let filter: KillFilter | null;
  if (oldForm) {
    filter = { id: null, type: null, addr: c.argText(2), laddr: null, user: null, skipMe: false };
  } else {
    filter = readKillFilter(c);
  }
  if (filter === null) return;
  let killed = 0;
  for (const one of [...liveClients(core)]) {
    if (!isMeant(one, filter) || (one === c && filter.skipMe)) continue;
    // Whoever kills itself still gets the reply.
    if (one === c) c.flags |= CLIENT_CLOSE_AFTER_COMMAND;
    else core.closeClient(one, false);
    killed++;
  }
  if (!oldForm) addReplyLong(c, killed);
  else if (killed > 0) addReplyOk(c);
  else addReplyError(c, 'No such client');
}

function setName(_core: RedisCore, c: Client): void {
  const name = c.argText(2);
  if (!isClientName(name)) {
    addReplyError(c, BAD_NAME);
    return;
  }
  c.name = name;
  addReplyOk(c);
}

function reply(_core: RedisCore, c: Client): void {
  if (c.argIs(2, 'on')) {
    c.flags &= ~(CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT | CLIENT_REPLY_OFF);
    addReplyOk(c);
  } else if (c.argIs(2, 'off')) {
    c.flags |= CLIENT_REPLY_OFF;
  } else if (c.argIs(2, 'skip')) {
    if ((c.flags & CLIENT_REPLY_OFF) === 0) c.flags |= CLIENT_REPLY_SKIP_NEXT;
  } else {
    addReplyError(c, SYNTAX_ERROR);
  }
}

function pause(core: RedisCore, c: Client): void {
  let all = true;
  if (c.argc === 4) {
    if (c.argIs(3, 'write')) all = false;
    else if (!c.argIs(3, 'all')) {
      addReplyError(c, 'CLIENT PAUSE mode must be WRITE or ALL');
      return;
    }
  } else if (c.argc !== 3) {
    addReplyError(c, "wrong number of arguments for 'client|pause' command");
    return;
  }
  const timeout = integerOrReply(c, 2, 'timeout is not an integer or out of range');
  if (timeout === null) return;
  if (timeout < 0) {
    addReplyError(c, 'timeout is negative');
    return;
  }
  // A pause never becomes shorter or weaker by another one.
  core.pauseAll = all || (core.pauseAll && core.pauseUntilMs > core.nowMs);
  core.pauseUntilMs = Math.max(core.pauseUntilMs, core.nowMs + timeout);
  addReplyOk(c);
}

function noEvict(_core: RedisCore, c: Client): void {
  if (c.argIs(2, 'on')) c.flags |= CLIENT_NO_EVICT;
  else if (c.argIs(2, 'off')) c.flags &= ~CLIENT_NO_EVICT;
  else {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  addReplyOk(c);
}

function unblock(core: RedisCore, c: Client): void {
  if (c.argc > 4) {
    addReplyError(c, "wrong number of arguments for 'client|unblock' command");
    return;
  }
  if (c.argc === 4 && !c.argIs(3, 'timeout') && !c.argIs(3, 'error')) {
    addReplyError(c, 'CLIENT UNBLOCK reason should be TIMEOUT or ERROR');
    return;
  }
  const id = integerOrReply(c, 2);
  if (id === null) return;
  const target = core.clientsById.get(id) ?? null;
  if (target === null || (target.flags & CLIENT_BLOCKED) === 0) {
    addReplyLong(c, 0);
    return;
  }
  interruptBlocked(core, target, c.argc === 4 && c.argIs(3, 'error'));
  addReplyLong(c, 1);
}

export const clientProcs: Readonly<Record<string, CommandProc>> = {
  'client|id': (_core, c) => addReplyLong(c, c.id),
  'client|info': (core, c) => addReplyVerbatim(c, `${clientInfo(core, c)}\n`, 'txt'),
  'client|list': list,
  'client|kill': kill,
  'client|setname': setName,
  'client|getname': (_core, c) => (c.name === '' ? addReplyNull(c) : addReplyBulkString(c, c.name)),
  'client|reply': reply,
  'client|pause': pause,
  'client|unpause': (core, c) => {
    core.unpauseClients();
    addReplyOk(c);
  },
  'client|no-evict': noEvict,
  'client|unblock': unblock,
  'client|help': addHelp([
    'GETREDIR',
    '    Tell which client gets the tracking notices of this one.',
    'GETNAME',
    '    Tell the name of this connection.',
    'ID',
    '    Tell the number of this connection.',
    'INFO',
    '    Describe this connection.',
    'KILL <ip:port>',
    '    Close the connection from this address.',
    'KILL <option> <value> [<option> <value> [...]]',
    '    Close the connections that all options fit:',
    '    * ID <number>',
    '    * ADDR (<ip:port>|<unixsocket>:0), the far end',
    '    * LADDR (<ip:port>|<unixsocket>:0), the near end',
    '    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)',
    '    * USER <username>',
    '    * SKIPME (YES|NO), spare this connection (default: yes)',
    'LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <number> ...]',
    '    Describe all or the chosen connections.',
    'UNPAUSE',
    '    End a pause.',
    'PAUSE <timeout> [WRITE|ALL]',
    '    Hold back all commands, or writes only, for <timeout> milliseconds.',
    'REPLY (ON|OFF|SKIP)',
    '    Switch the replies of this connection.',
    'SETNAME <name>',
    '    Name this connection.',
    'TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]',
    '    Be told when keys that were read are changed.',
    'CACHING (YES|NO)',
    '    Track the keys of the next command, or do not.',
    'UNBLOCK <clientid> [TIMEOUT|ERROR]',
    '    Wake a client that waits in a blocking command.',
    'TRACKINGINFO',
    '    Describe the tracking state of this connection.',
    'NO-EVICT (ON|OFF)',
    '    Exempt this connection from client eviction.',
  ]),
};
