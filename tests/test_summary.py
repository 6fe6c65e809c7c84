"""What a notebook shows of a network."""

import re

import mbbp
from mbbp.summary import network_html


def test_the_table_has_a_row_for_each_layer_and_the_number_of_its_parameters():
    net = mbbp.Network([64, 1000, 10], ["tanh", "sigmoid"])
    html = network_html(net.sizes, [layer.activation.name for layer in net.layers], "cost <own>")
    rows = [re.findall("<t[hd]>(.*?)</t[hd]>", row) for row in re.findall("<tr>(.*?)</tr>", html)]
    assert rows == [
        ["layer", "activation", "neurons", "parameters"],
        ["1", "input", "64", ""],
        ["2", "tanh", "1,000", "65,000"],
        ["3", "sigmoid", "10", "10,010"],
    ]
    assert f"<p>Network of 3 layers: {net.theta.size:,} parameters, cost &lt;own&gt;</p>" in html
