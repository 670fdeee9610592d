// Text as WhatsApp shows it (https://faq.whatsapp.com/539178204879377), and numbers and times as people write them.

import { element } from "./dom.js";
import { language } from "./texts.js";

const MARKS = { "*": "strong", _: "em", "~": "s" };
const INLINE = /```([\s\S]+?)```|`([^`\n]+)`|(?<![\w*_~])([*_~])(?=\S)([^\n]*?\S)\3(?![\w*_~])|(https?:\/\/[^\s<>"]+)/;

export function formatted(text) {
  const fragment = document.createDocumentFragment();
  const blocks = text.split(/(```[\s\S]+?```)/);
  blocks.forEach((block, at) => {
    if (at % 2) fragment.append(element("code", { class: "block" }, block.slice(3, -3).replace(/^\n|\n$/g, "")));
    else lines(block, fragment);
  });
  return fragment;
}

function lines(text, into) {
  text.split("\n").forEach((line, at) => {
    if (at) into.append("\n");
    const quote = line.match(/^> ?(.*)/);
    const item = line.match(/^[-*] (.*)/);
    if (quote) into.append(inline(element("q"), quote[1]));
    else if (item) into.append(inline(element("span", { class: "item" }), item[1]));
    else inline(into, line);
  });
}

function inline(into, text) {
  let rest = text;
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    into.append(rest.slice(0, found.index));
    const [whole, block, code, mark, inner, address] = found;
    if (mark) into.append(inline(element(MARKS[mark]), inner));
    else if (address) into.append(element("a", { href: address, target: "_blank", rel: "noreferrer" }, address));
    else into.append(element("code", {}, block ?? code));
    rest = rest.slice(found.index + whole.length);
  }
  into.append(rest);
  return into;
}

export function time(milliseconds, seconds = false) {
  const shape = { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) };
  return new Intl.DateTimeFormat(language, shape).format(milliseconds);
}

export function number(address) {
  const bare = address.replace("whatsapp:", "");
  const brazil = bare.match(/^\+55(\d{2})(\d{4,5})(\d{4})$/);
  return brazil ? `+55 ${brazil[1]} ${brazil[2]}-${brazil[3]}` : bare;
}
