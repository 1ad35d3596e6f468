/** From the tls-… settings to what a TLS listener needs: files are read, versions and ciphers checked, in the original's order and words. */
import { constants } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { EventLoop, TlsSettings } from '../io/event-loop.ts';
import type { DirectiveName, RedisConfig } from '../redis/config.ts';
import type { SettingApplier } from '../redis/config-set.ts';
import { LOG_WARNING } from '../redis/log-levels.ts';
import { nativeName } from './native-names.ts';
import { systemText } from './redis-conf.ts';

/** Settings that do not make a TLS server. */
export class TlsError extends Error {}

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof VERSIONS)[number];
const SWITCH_OFF: Readonly<Record<Version, number>> = {
  TLSv1: constants.SSL_OP_NO_TLSv1,
  'TLSv1.1': constants.SSL_OP_NO_TLSv1_1,
  'TLSv1.2': constants.SSL_OP_NO_TLSv1_2,
  'TLSv1.3': constants.SSL_OP_NO_TLSv1_3,
};
/** What is spoken unless told otherwise. */
const DEFAULT_VERSIONS: readonly Version[] = ['TLSv1.2', 'TLSv1.3'];
const CERTIFICATE = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/;

function read(path: string, what: string): string {
  try {
    return readFileSync(nativeName(path), 'latin1');
  } catch (error) {
    throw new TlsError(`${what}${systemText(error)}`);
  }
}

/** Lets OpenSSL judge. */
function check(options: SecureContextOptions, what: string, withReason = true): void {
  try {
    createSecureContext(options);
  } catch (error) {
    throw new TlsError(withReason ? `${what}${error instanceof Error ? error.message : String(error)}` : what);
  }
}

function versionsOf(words: string): readonly Version[] {
  if (words === '') return DEFAULT_VERSIONS;
  const versions = words.split(/\s+/).filter((word) => word !== '');
  const known = VERSIONS.filter((version) => versions.some((word) => word.toLowerCase() === version.toLowerCase()));
  if (known.length === 0 || known.length !== new Set(versions.map((word) => word.toLowerCase())).size) {
    throw new TlsError(
      "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.",
    );
  }
  return known;
}

function authoritiesOf(config: RedisConfig): string[] {
  const what = 'Failed to configure CA certificate(s) file/directory: ';
  const authorities: string[] = [];
  if (config.tlsCaCertFile !== '') {
    const text = read(config.tlsCaCertFile, what);
    if (!CERTIFICATE.test(text)) throw new TlsError(`${what}${config.tlsCaCertFile} holds no certificate`);
    check({ ca: text }, what);
    authorities.push(text);
  }
  if (config.tlsCaCertDir !== '') {
    // OpenSSL looks a certificate up when it needs one and finds none in a folder that is not there; here all are read at the start.
    let names: string[] = [];
    try {
      names = readdirSync(nativeName(config.tlsCaCertDir));
    } catch {}
    for (const name of names.sort()) {
      try {
        const text = readFileSync(join(nativeName(config.tlsCaCertDir), name), 'latin1');
        if (CERTIFICATE.test(text)) authorities.push(text);
      } catch {}
    }
  }
  return authorities;
}

/**
 * @returns what a TLS listener needs
 * @throws TlsError with the line for the log
 */
export function readTlsSettings(config: RedisConfig): TlsSettings {
  if (config.tlsCertFile === '') throw new TlsError('No tls-cert-file configured!');
  if (config.tlsKeyFile === '') throw new TlsError('No tls-key-file configured!');
  const asksClients = config.tlsCluster || config.tlsReplication || config.tlsAuthClients !== 'no';
  if (asksClients && config.tlsCaCertFile === '' && config.tlsCaCertDir === '') {
    throw new TlsError(
      'Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or tls-auth-clients are enabled!',
    );
  }
  const versions = versionsOf(config.tlsProtocols);
  const badCertificate = `Failed to load certificate: ${config.tlsCertFile}: `;
  const cert = read(config.tlsCertFile, badCertificate);
  check({ cert }, badCertificate);
  const badKey = `Failed to load private key: ${config.tlsKeyFile}: `;
  const key = read(config.tlsKeyFile, badKey);
  const passphrase = config.tlsKeyFilePass;
  check({ cert, key, ...(passphrase === '' ? {} : { passphrase }) }, badKey);
  const ca = authoritiesOf(config);
  if (config.tlsCiphers !== '') {
    check({ ciphers: config.tlsCiphers }, `Failed to configure ciphers: ${config.tlsCiphers}`, false);
  }
  if (config.tlsCiphersuites !== '') {
    const bad = `Failed to configure ciphersuites: ${config.tlsCiphersuites}`;
    // Only names of this form are suites of TLS 1.3; the rest would pass as old ciphers.
    if (!config.tlsCiphersuites.split(':').every((name) => name.startsWith('TLS_'))) throw new TlsError(bad);
    check({ ciphers: config.tlsCiphersuites }, bad, false);
  }
  let secureOptions = config.tlsSessionCaching ? 0 : constants.SSL_OP_NO_TICKET;
  for (const version of VERSIONS) if (!versions.includes(version)) secureOptions |= SWITCH_OFF[version];
  const dhparam =
    config.tlsDhParamsFile === ''
      ? ''
      : read(config.tlsDhParamsFile, `Failed to load DH params file: ${config.tlsDhParamsFile}: `);
  return {
    cert,
    key,
    passphrase,
    ca,
    clients: config.tlsAuthClients as TlsSettings['clients'],
    ciphers: cipherList(config),
    preferServerCiphers: config.tlsPreferServerCiphers,
    minVersion: versions[0]!,
    maxVersion: versions.at(-1)!,
    secureOptions,
    dhparam,
    sessionTimeoutSeconds: config.tlsSessionCacheTimeout,
  };
}

/** Node takes the suites of TLS 1.3 and the older ciphers in one list: where one half is not given, its usual ones are. */
function cipherList(config: RedisConfig): string {
  if (config.tlsCiphers === '' && config.tlsCiphersuites === '') return '';
  const suites =
    config.tlsCiphersuites === ''
      ? 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'
      : config.tlsCiphersuites;
  return `${suites}:${config.tlsCiphers === '' ? 'HIGH:!aNULL:!eNULL:!SHA1' : config.tlsCiphers}`;
}

/** Settings that take effect for the handshakes that follow. */
const RENEWING: readonly DirectiveName[] = [
  'tls-auth-clients',
  'tls-prefer-server-ciphers',
  'tls-session-caching',
  'tls-session-cache-timeout',
  'tls-cert-file',
  'tls-key-file',
  'tls-key-file-pass',
  'tls-dh-params-file',
  'tls-ca-cert-file',
  'tls-ca-cert-dir',
  'tls-protocols',
  'tls-ciphers',
  'tls-ciphersuites',
];

/** Lets CONFIG SET renew certificates and the like; the log says why when that fails. */
export function tlsAppliers(
  loop: EventLoop,
  config: RedisConfig,
  log: (level: number, text: string) => void,
): [DirectiveName, SettingApplier][] {
  const clients = config.tlsAuthClients;
  const apply: SettingApplier = (changed) => {
    if (changed.tlsPort === 0) return null;
    try {
      const settings = readTlsSettings(changed);
      if (settings.clients !== clients) throw new TlsError('tls-auth-clients cannot be changed while the server runs');
      loop.renewTls?.(settings);
      return null;
    } catch (error) {
      log(LOG_WARNING, error instanceof Error ? error.message : String(error));
      return 'Unable to update TLS configuration. Check server logs.';
    }
  };
  return RENEWING.map((name) => [name, apply]);
}
