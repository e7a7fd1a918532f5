import { describe, expect, it } from 'vitest';
import { UserError } from '@boxship/model';
import { proxyFor } from './proxy.ts';

const env = { HTTPS_PROXY: 'http://proxy.example.com:3128', http_proxy: 'proxy.example.com:80' };
const host = (url: string, more: object = {}) => proxyFor(new URL(url), { ...env, ...more })?.host;

describe('proxies', () => {
  it('are taken by scheme, in either case', () => {
    expect(host('https://a.test')).toBe('proxy.example.com:3128');
    expect(host('http://a.test')).toBe('proxy.example.com');
    expect(proxyFor(new URL('https://a.test'), { HTTP_PROXY: 'http://p' })).toBeUndefined();
  });

  it.each(['https://localhost/', 'https://127.0.0.1:5000/', 'https://[::1]/', 'http://x.localhost'])('are never asked for %s', (url) => {
    expect(host(url)).toBeUndefined();
  }); // prettier-ignore

  // golang.org/x/net/http/httpproxy proxy_test.go, UseProxyTests
  it.each([
    ['*', 'https://a.test', true], ['a.test', 'https://a.test', true], ['test', 'https://a.test', true],
    ['.a.test', 'https://a.test', false], ['.a.test', 'https://b.a.test', true], ['*.a.test', 'https://b.a.test', true],
    ['a.test:443', 'https://a.test', true], ['a.test:5000', 'https://a.test', false], ['xa.test', 'https://a.test', false],
    ['a.test', 'https://xa.test', false], ['10.0.0.0/8', 'https://10.1.2.3', true], ['10.0.0.0/8', 'https://11.1.2.3', false],
    ['fd00::/8', 'https://[fd00::1]', true], ['10.1.2.3', 'https://10.1.2.3', true], ['2.3', 'https://10.1.2.3', false],
    ['b.test, a.test', 'https://A.test', true], ['10.0.0.0/99', 'https://10.1.2.3', false], ['', 'https://a.test', false],
  ])('with NO_PROXY=%s, %s is exempt: %s', (list, url, exempt) => {
    expect(host(url, { NO_PROXY: list }) === undefined).toBe(exempt);
  }); // prettier-ignore

  it('are refused without showing a password', () => {
    const bad = () => proxyFor(new URL('https://a.test'), { HTTPS_PROXY: 'socks4://user:hunter2@p' });
    expect(bad).toThrow(UserError);
    expect(bad).not.toThrow(/hunter2/);
  });
});
