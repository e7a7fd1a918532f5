import { describe, expect, it } from 'vitest';
import { mergeOrders } from './merge-orders.ts';

describe('the order of layers that all images have in common', () => {
  const merged = (...lists: string[]) => mergeOrders(lists.map((list) => [...list])).join('');

  it('is that of every image', () => {
    expect(merged('abc')).toBe('abc');
    expect(merged('abc', 'axbc')).toBe('axbc'); // not abcx: the second image would wait for x
    expect(merged('ac', 'bc', 'abd')).toBe('abcd');
    expect(merged('xa', 'ya', 'za')).toBe('xyza');
    expect(merged('', 'ab', '')).toBe('ab');
    expect(merged()).toBe('');
  });

  it('has each once, also of one that an image names twice', () => {
    expect(merged('aba', 'ba')).toBe('ab');
  });

  it('is that of the earliest image where images contradict each other', () => {
    expect(merged('ab', 'ba')).toBe('ab');
    expect(merged('abc', 'cxa')).toBe('abcx');
  });
});
