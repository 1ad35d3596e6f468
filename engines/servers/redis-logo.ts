/** What a server shows of itself when a person watches it start. */
import { isatty } from 'node:tty';
import type { RedisConfig } from '../redis/config.ts';

const STDOUT = 1;

/** Whether the logo is shown: to a terminal, or where `always-show-logo` asks for it. */
export const wantsLogo = (config: RedisConfig): boolean =>
  config.alwaysShowLogo || (!config.syslogEnabled && config.logfile === '' && isatty(STDOUT));

/**
 * The logo. Programs that start a server wait for its " PID: N", which therefore comes once the server listens, in the original's words.
 * @param port of TCP or else of TLS; 0: neither
 */
export const logoText = (port: number): string => `
     .--------------.
     |  [=] [=] [=] |    cachelab, speaking as Redis 7.0.15 (00000000/0) 64 bit
     |--------------|
     |  [=] [=] [ ] |    Running in standalone mode
     |--------------|    Port: ${port}
     |  [=] [ ] [ ] |    PID: ${process.pid}
     '--------------'

`;
