// What a person has entered, kept by place, block_id and action_id, so that a live update of a form or of a message
// leaves it as it is. A scope is one message, one form or one Home tab.
import { createContext } from './ui.js';
import { post } from './api.js';
import { change, refreshAfterAct, store } from './store.js';

export const Scope = createContext(null);

const entered = new Map();

const fieldKey = (blockId, actionId) => `${blockId}\u0000${actionId}`;

/** The scope of a message in a channel. */
export const messageScope = (channel, message) => ({
  key: `${channel}:${message.ts}`, target: { channel, ts: message.ts }, blocks: message.blocks ?? [],
});

/** The scope of a modal or of the Home tab. */
export const viewScope = (view) => ({ key: view.id, target: { view_id: view.id }, view, blocks: view.blocks ?? [] });

const SELECTION = [
  'selected_option', 'selected_options', 'selected_date', 'selected_time', 'selected_date_time', 'selected_user',
  'selected_users', 'selected_channel', 'selected_channels', 'selected_conversation', 'selected_conversations',
];

/** The name of the key in which an element of this type reports what was chosen. */
export function choiceKey(type) {
  if (/^(checkboxes|multi_(static|external)_select)$/.test(type)) return 'selected_options';
  if (/^(static_select|external_select|radio_buttons|overflow)$/.test(type)) return 'selected_option';
  const [, multi, what] = /^(multi_)?(users|channels|conversations)_select$/.exec(type) ?? [];
  if (what) return `selected_${multi ? what : what.slice(0, -1)}`;
  return { datepicker: 'selected_date', timepicker: 'selected_time', datetimepicker: 'selected_date_time' }[type] ?? 'value';
}

function initialValue(element) {
  const key = choiceKey(element.type);
  const initial = element[key.replace('selected_', 'initial_').replace(/^value$/, 'initial_value')];
  return initial ?? (/s$/.test(key) ? [] : null);
}

/** What stands in an element now: what was entered, else what the server remembers, else what the app gave. */
export function valueOf(scope, blockId, element) {
  const mine = entered.get(scope.key)?.get(fieldKey(blockId, element.action_id));
  if (mine !== undefined) return mine;
  const remembered = scope.view?.state?.values?.[blockId]?.[element.action_id]?.[choiceKey(element.type)];
  return remembered ?? initialValue(element);
}

/** Keeps what a person entered. */
export function enter(scope, blockId, element, value) {
  if (!entered.has(scope.key)) entered.set(scope.key, new Map());
  entered.get(scope.key).set(fieldKey(blockId, element.action_id), value);
  amended.add(fieldKey(scope.key, blockId));
  edits.set(scope.key, editsOf(scope.key) + 1);
  change();
}

const amended = new Set();

/** Whether a person has changed a field since the form was sent: what was wrong with it then is no longer said. */
export const isAmended = (scope, blockId) => amended.has(fieldKey(scope.key, blockId));

/** The form is sent as it stands now. */
export function sendAsIs(scope) {
  for (const block of scope.blocks) amended.delete(fieldKey(scope.key, block.block_id));
}

const edits = new Map();

/** How often something was entered in a scope: what need not be drawn again can tell by it. */
export const editsOf = (key) => edits.get(key) ?? 0;

/** Forgets the forms that are no longer open. */
export function forgetClosed(openIds) {
  for (const key of entered.keys()) if (/^V/.test(key) && !openIds.has(key)) entered.delete(key);
}

/** The entry of an element in `state.values` and in a click. */
export function choice(element, value) {
  const key = choiceKey(element.type);
  return { [key]: value === '' ? null : value };
}

const STATELESS = new Set(['button', 'overflow', 'image', 'workflow_button']);

/** The controls of a block that hold a value. */
export function fieldsOf(block) {
  const found = [block.element, block.accessory, ...(block.type === 'actions' ? block.elements ?? [] : [])];
  return found.filter((e) => e?.action_id && !STATELESS.has(e.type));
}

/** `state.values` as Slack sends it with a form. */
export function stateOf(scope) {
  const values = {};
  for (const block of scope.blocks) {
    for (const element of fieldsOf(block)) {
      values[block.block_id] ??= {};
      const value = valueOf(scope, block.block_id, element);
      values[block.block_id][element.action_id] = { type: element.type, ...choice(element, value) };
    }
  }
  return { values };
}

/** Tells the app of a click or a choice; resolves to the server's answer. */
export async function act(scope, blockId, element, chosen = {}) {
  const body = { user: store.user, ...scope.target, block_id: blockId, action_id: element.action_id, ...chosen };
  if (scope.view) body.state = stateOf(scope);
  const answer = await post('click', body);
  refreshAfterAct();
  return answer;
}

/** Asks the app for the options of an external select. */
export function askOptions(scope, blockId, element, value) {
  const place = { user: store.user, ...scope.target, block_id: blockId, action_id: element.action_id };
  return post('options', { ...place, value });
}
