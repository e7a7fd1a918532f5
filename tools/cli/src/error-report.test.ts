import { describe, expect, it } from 'vitest';
import { CosignError } from 'cosign-node-binding';
import { UserError } from '@boxship/model';
import { formatReport, reportDocument, reportOf } from './error-report.ts';

const systemError = (code: string, more: object = {}) =>
  Object.assign(new Error(`${code}: …`), { code, syscall: 'write', ...more });

describe('an error', () => {
  it('of the user is told with its place and its hint', () => {
    const report = reportOf(
      new UserError('BAD', 'it is wrong', 'Mend it.', { file: 'a.yaml', line: 3, column: 5 }),
      false,
    );
    expect(report.exitCode).toBe(1);
    expect(formatReport(report)).toBe('error: a.yaml:3:5: it is wrong\n  hint: Mend it.\n');
  });

  it('of several mistakes tells them all, and how many', () => {
    const report = reportOf(
      new UserError([
        { code: 'A', message: 'one' },
        { code: 'B', message: 'two' },
      ]),
      false,
    );
    expect(formatReport(report)).toBe('error: one\nerror: two\n2 errors\n');
  });

  it.each(['STORE_FULL', 'DISK_FULL'])('%s has the code 4', (code) => {
    expect(reportOf(new UserError(code, 'too big'), false).exitCode).toBe(4);
  });

  it("of a key is the user's", () => {
    const { exitCode, problems } = reportOf(
      new CosignError('WRONG_PASSWORD', 'it does not open', 'Try another.'),
      false,
    );
    expect({ exitCode, problems }).toEqual({
      exitCode: 1,
      problems: [{ code: 'WRONG_PASSWORD', message: 'it does not open', hint: 'Try another.' }],
    });
  });

  it.each(['ENOSPC', 'EDQUOT', 'EACCES', 'EPERM', 'EROFS', 'EIO', 'EMFILE', 'EEXIST'])('%s is a message with the path, not a stack', (code) => {
    const report = reportOf(systemError(code, { path: '/data/deploy/x.img' }), false);
    expect(report).toMatchObject({ exitCode: 1, problems: [{ code }] });
    expect(report.problems[0]!.message).toMatch(/^\/data\/deploy\/x\.img: /);
    expect(report.problems[0]!.hint).toBeTruthy();
    expect(formatReport(report)).not.toContain('    at ');
  }); // prettier-ignore

  it('of the system is found behind another error', () => {
    expect(reportOf(new Error('writing failed', { cause: systemError('ENOSPC') }), false).problems[0]).toMatchObject({
      code: 'ENOSPC',
      message: 'the disk is full while Boxship did "write"',
    });
  });

  it('that nobody expected is a defect, with its stack and the version', () => {
    const report = reportOf(new TypeError('x is not a function'), false);
    expect(report.exitCode).toBe(70);
    expect(formatReport(report)).toMatch(
      /^error: this is a defect of Boxship: x is not a function\nTypeError: [\s\S]*\nboxship .*, node v.*\nPlease report/,
    );
    expect(reportDocument(report)).toMatchObject({ error: { exitCode: 70, problems: [{ code: 'DEFECT' }] } });
  });

  it('after an interruption is the interruption', () => {
    expect(reportOf(new TypeError('aborted somewhere'), true).exitCode).toBe(130);
  });
});
