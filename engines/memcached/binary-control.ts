/** The binary requests that concern the server or the connection rather than an item: statistics, flushing, authentication. None is hot. */

import { BinaryReplies, NO_BYTES } from './binary-replies.ts';
import type { Core } from './core.ts';
import { allocItem } from './item-alloc.ts';
import * as L from './layout.ts';
import * as B from './protocol/binary.ts';
import { bytesOf } from './replies.ts';
import * as A from './sasl.ts';
import { type Stat, StatsCommands } from './stats.ts';

/** How the data of a SASL request are "stored": they are looked at and thrown away. */
export const STORE_SASL = 100;
const AUTHENTICATED_TEXT = bytesOf('Authenticated');

export class BinaryControl extends BinaryReplies {
  readonly #stats: StatsCommands;

  constructor(core: Core) {
    super(core);
    this.#stats = new StatsCommands(core);
  }

  protected flush() {
    const core = this.core;
    if (!core.settings.flushEnabled) return this.error(B.STATUS_AUTH_ERROR);
    core.counters.flushCmds++;
    core.items.flushAll(this.extrasLength === 4 ? this.get32(this.extrasAt) : 0);
    this.respond(0, 0, NO_BYTES);
  }

  protected stat(conn: number) {
    const core = this.core;
    let what = '';
    for (let i = 0; i < this.keyLength; i++) what += String.fromCharCode(core.u8[this.keyAt + i]);
    let stats: Stat[] | null;
    if (what.startsWith('reset')) {
      this.#stats.reset();
      stats = [];
    } else if (what.startsWith('detail')) {
      stats = this.#detail(what.slice(6));
    } else {
      // Which connections there are is told to ASCII clients only.
      stats = what === 'conns' ? null : this.#stats.byName(what.startsWith('settings') ? 'settings' : what, conn);
    }
    if (stats === null) return this.error(B.STATUS_KEY_ENOENT);
    for (const [name, value] of stats) this.#statPacket(name, String(value));
    // Switching the size histogram is answered without an end.
    if (what !== 'sizes_enable' && what !== 'sizes_disable') this.#statPacket('', '');
  }

  #detail(what: string): Stat[] | null {
    const { settings, prefixes } = this.core;
    if (what.startsWith(' dump')) return [['detailed', prefixes.dump()]];
    if (what.startsWith(' on')) settings.detailEnabled = true;
    else if (what.startsWith(' off')) settings.detailEnabled = false;
    else return null;
    this.core.publishSettings();
    return [];
  }

  #statPacket(name: string, value: string) {
    const out = this.core.output.room(B.BINARY_HEADER_BYTES);
    if (out === 0) return;
    this.core.output.wrote(this.header(out, B.STATUS_SUCCESS, 0, name.length, name.length + value.length, 0, 0));
    this.core.output.writeText(name + value);
  }

  protected saslList(conn: number) {
    const { core } = this;
    if (!core.settings.sasl) return this.error(B.STATUS_UNKNOWN_COMMAND);
    // Whoever asks begins anew.
    core.connections.auth[conn] &= ~A.AUTHENTICATED;
    this.respond(0, 0, bytesOf(A.SASL_MECHANISMS));
  }

  protected sasl(conn: number) {
    const { core } = this;
    const { items } = core;
    const length = this.bodyLength - this.keyLength;
    if (!core.settings.sasl) return this.errorAndSwallow(conn, B.STATUS_UNKNOWN_COMMAND, length);
    if (this.keyLength > A.SASL_MECHANISM_BYTES_MAX) return this.errorAndSwallow(conn, B.STATUS_EINVAL, length);
    // The data are read as a value is, with the mechanism as its key; chunks are not for them.
    const item = allocItem(items, this.keyAt, this.keyLength, 0, 0, length + 2);
    const isChunked = item !== 0 && (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) !== 0;
    if (isChunked) items.release(item);
    if (item === 0 || isChunked) return this.errorAndSwallow(conn, B.STATUS_ENOMEM, length);
    core.values.rememberRequest(conn, this.opcode, this.opaque);
    core.values.expect(conn, item, 0, STORE_SASL, length, false);
  }

  protected completeSasl(conn: number, item: number) {
    const { core } = this;
    const { items, u8 } = core;
    const isStart = this.opcode === B.OP_SASL_AUTH;
    const state = core.connections.auth[conn];
    const length = items.i32[(item + L.ITEM_NBYTES) >>> 2] - 2;
    const mechanismLength = u8[item + L.ITEM_NKEY];
    const mechanismAt = items.keyOf(item);
    const dataAt = items.dataOf(item);
    const result = A.saslStep(core.credentials, state, isStart, u8, mechanismAt, mechanismLength, dataAt, length);
    // The password is not left lying about in a free chunk.
    u8.fill(0, dataAt, dataAt + length);
    core.connections.auth[conn] = A.nextState(state, isStart, result);
    this.quiet = false;
    if (result === A.SASL_CONTINUE) return this.error(B.STATUS_AUTH_CONTINUE);
    core.counters.authCmds++;
    if (result === A.SASL_OK) return this.respond(0, 0, AUTHENTICATED_TEXT);
    core.counters.authErrors++;
    this.error(B.STATUS_AUTH_ERROR);
  }
}
