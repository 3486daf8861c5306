// The selects of Block Kit, each as the one type-ahead list.
import { html, useContext } from './ui.js';
import { Combobox } from './combobox.js';
import { Scope, askOptions } from './scope.js';
import { channelTitle, displayName, people, store, userById, channelById } from './store.js';
import { wordsOf } from './text.js';

const itemOfOption = (group) => (option) => ({
  key: String(option.value), label: wordsOf(option.text), description: option.description && wordsOf(option.description),
  group, raw: option,
});

/** The items of an element or of the app's answer: plain options, or options in groups. */
function itemsOf(source) {
  const groups = source.option_groups ?? [];
  if (groups.length) return groups.flatMap((g) => g.options.map(itemOfOption(wordsOf(g.label))));
  return (source.options ?? []).map(itemOfOption());
}

const userItem = (id) => ({ key: id, label: displayName(userById(id) ?? { name: id }), raw: id });

const channelItem = (id) => {
  const channel = channelById(id);
  return { key: id, label: channel ? (channel.app_dm ? channelTitle(channel) : `#${channel.name}`) : id, raw: id };
};

function idItems(type) {
  if (/users_select/.test(type)) return people().map((u) => userItem(u.id));
  const channels = store.workspace.channels.filter((c) => /conversations/.test(type) || c.kind === 'channel');
  return channels.map((c) => channelItem(c.id));
}

function describe(type) {
  if (/(static|external)_select/.test(type)) return itemOfOption();
  return /users_select/.test(type) ? userItem : channelItem;
}

/** One select element. `set(value)` gets the value as Slack's state carries it: an option, an id, or a list. */
export function SelectElement({ blockId, element, value, set, id, label, describedBy, invalid, optional }) {
  const scope = useContext(Scope);
  const { type } = element;
  const multi = type.startsWith('multi_');
  const chosen = (multi ? value ?? [] : value ? [value] : []).map(describe(type));
  const external = type.endsWith('external_select');
  const loader = external ? async (query) => {
    const answer = await askOptions(scope, blockId, element, query);
    return answer.ok === false ? null : itemsOf(answer);
  } : null;
  const items = external ? [] : type.endsWith('static_select') ? itemsOf(element) : idItems(type);
  const onChange = (list) => set(multi ? list.map((i) => i.raw) : list[0]?.raw ?? null);
  return html`<${Combobox} id=${id} label=${label} describedBy=${describedBy} invalid=${invalid} multi=${multi}
    clearable=${optional} placeholder=${wordsOf(element.placeholder) || 'Select an item'} items=${items}
    loader=${loader} minQuery=${external ? element.min_query_length ?? 3 : 0} max=${element.max_selected_items}
    value=${chosen} onChange=${onChange} />`;
}
