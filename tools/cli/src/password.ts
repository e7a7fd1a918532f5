import { UserError } from '@boxship/model';
import type { Session } from './session.ts';

/** Where cosign itself looks, so that one variable serves both. */
export const PASSWORD_VARIABLE = 'COSIGN_PASSWORD';

/**
 * The password of a new key: from the environment (it may be set to nothing, as with cosign), else asked for twice on a
 * terminal without showing it. Never from the command line, where every user of the machine could read it.
 * Errors: NO_PASSWORD, PASSWORDS_DIFFER.
 */
export async function newPassword(session: Session): Promise<string> {
  const given = process.env[PASSWORD_VARIABLE];
  if (given !== undefined) return given;
  if (process.stdin.isTTY !== true) {
    throw new UserError(
      'NO_PASSWORD',
      'the new key needs a password, and there is no terminal to ask for one',
      `Set ${PASSWORD_VARIABLE} in the environment.`,
    );
  }
  const password = await askHidden('Password for the new key: ', session);
  if ((await askHidden('Once more: ', session)) !== password) {
    throw new UserError('PASSWORDS_DIFFER', 'the two passwords differ; no key was written', 'Run the command again.');
  }
  return password;
}

/** One line from the terminal, not echoed. */
export async function askHidden(question: string, session: Session): Promise<string> {
  const { stdin, stderr } = process;
  stdin.setRawMode(true); // before the question, so that nothing of the answer is echoed
  stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      let typed = '';
      const done = (finish: () => void) => {
        stdin.off('data', read);
        stdin.pause(); // else what is put back is lost
        finish();
      };
      const read = (chunk: Buffer) => {
        const characters = [...chunk.toString('utf8')];
        for (const [index, character] of characters.entries()) {
          if (character === '\r' || character === '\n' || character === '\u0004') {
            const rest = characters.slice(index + 1).join('');
            return done(() => {
              if (rest !== '') stdin.unshift(Buffer.from(rest)); // pasted ahead: for the next question
              resolve(typed);
            });
          }
          if (character === '\u0003') {
            session.interrupt();
            return done(() => reject(new Error('interrupted')));
          }
          if (character === '\u007f' || character === '\b') typed = [...typed].slice(0, -1).join('');
          else typed += character;
        }
      };
      stdin.on('data', read);
      stdin.resume();
    });
  } finally {
    stdin.setRawMode(false);
    stderr.write('\n');
  }
}
