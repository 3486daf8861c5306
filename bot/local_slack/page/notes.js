// Slack's own private lines: what Slack itself says to a person when a command could not be delivered.
import { change, store } from './store.js';

const UNREACHABLE = 'The workspace cannot be reached. Check that it is still running, then try again.';

/** Words for an error code of a click or of a form. */
export function describeFailure(error) {
  return error === 'unreachable' ? UNREACHABLE : 'Something went wrong, try again.';
}

/** Slack's sentence for a slash command that failed. */
export function describeCommandFailure(text, error) {
  const command = text.trim().split(/\s/)[0];
  if (error === 'unreachable') return UNREACHABLE;
  if (/unknown|invalid_command|not_found|no_such/.test(error ?? '')) {
    return `${command} is not a valid command. In Slack, all messages that start with the "/" character are `
      + 'interpreted as commands.';
  }
  return `${command} failed with the error "${error ?? 'dispatch_failed'}"`;
}

/** Adds a private line at the end of a channel (or of a thread); the same words twice in a moment are one line. */
export function addNote(channel, words, thread = null) {
  const list = store.notes[channel] ?? [];
  const now = Date.now() / 1000;
  const last = list.at(-1);
  if (last && last.text === words && now - Number(last.ts) < 4) return;
  const note = {
    ts: now.toFixed(6), user: 'USLACKBOT', username: 'Slackbot', text: words, ephemeral: true, local: true,
    thread_ts: thread ?? undefined, plain: true,
  };
  change({ notes: { ...store.notes, [channel]: [...list, note] } });
}
